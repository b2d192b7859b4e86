"""The mock provider itself, in memory: what the adapter talks to."""

from gpuhub_mock.emulator.cloud import MockCloud
from gpuhub_mock.emulator.options import CloudOptions

__all__ = ["CloudOptions", "MockCloud"]
