"""What all parts of the emulator share."""

from __future__ import annotations

import itertools
import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass, field

from gpuhub.testing.emulator import RequestLog
from gpuhub.testing.emulator.site import EmulatorSite
from gpuhub_runpod.emulator.catalog import Catalog
from gpuhub_runpod.emulator.options import EmulatorOptions

__all__ = ["Site"]

_LETTERS = string.ascii_lowercase + string.digits


@dataclass(kw_only=True)
class Site(EmulatorSite):
    """One account at RunPod, as seen from inside.

    Attributes:
        options: How it behaves.
        worker_requests: What workers asked.
        catalog: What there is to rent.
        user_secrets: Values of ``{{ RUNPOD_SECRET_<name> }}``.
        worker_key: What workers authorize themselves with.
    """

    options: EmulatorOptions
    worker_requests: RequestLog = field(default_factory=RequestLog)
    catalog: Catalog = field(default_factory=Catalog)
    user_secrets: dict[str, str] = field(default_factory=dict, repr=False)
    worker_key: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new_id(self, prefix: str = "", length: int = 14) -> str:
        """Give an id in RunPod's manner; never the same twice."""
        letters = "".join(self.random.choices(_LETTERS, k=length - 4))
        return f"{prefix}{letters}{next(self._numbers):04d}"
