"""Replicate on loopback: API, registry, workers, with state and a controllable clock.

:class:`ReplicateEmulator` plays one account. ``gpuhub emulator replicate`` serves one in real time.
"""

from __future__ import annotations

from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_replicate.emulator.hosted import schema_of
from gpuhub_replicate.emulator.machines import CogletMissing, coglet_python
from gpuhub_replicate.emulator.options import DOCUMENTED_QUOTAS, EmulatorOptions, Quota
from gpuhub_replicate.emulator.provider import ReplicateEmulator

__all__ = [
    "DOCUMENTED_QUOTAS",
    "CogletMissing",
    "EmulatorOptions",
    "Quota",
    "ReplicateEmulator",
    "coglet_python",
    "contract_emulator",
    "emulator",
    "schema_of",
]


def contract_emulator() -> ReplicateEmulator:
    """Give a fresh provider for one test of the contract suite."""
    return ReplicateEmulator()


def emulator() -> ReplicateEmulator:
    """Give a provider in real time, as ``gpuhub emulator replicate`` serves it.

    Its workers are real ones where there is a Python with the ``cog`` package.
    """
    quotas = DOCUMENTED_QUOTAS
    try:
        coglet_python()
    except CogletMissing:
        options = EmulatorOptions(cold_start_s=0.2, quotas=quotas)
    else:
        options = EmulatorOptions(workers="coglet", cold_start_s=0.2, quotas=quotas)
    return ReplicateEmulator(options, SystemClock())
