"""What all parts of the emulator share."""

from __future__ import annotations

import itertools
import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator import RequestLog
from gpuhub.testing.emulator.site import EmulatorSite
from gpuhub_modal.emulator.options import EmulatorOptions

if TYPE_CHECKING:
    from gpuhub_modal.emulator.protobuf import Wire

__all__ = ["Site"]

_LETTERS = string.ascii_letters + string.digits
_ID_LENGTH = 22


@dataclass(kw_only=True)
class Site(EmulatorSite):
    """One workspace at Modal, as seen from inside.

    Attributes:
        options: How it behaves.
        folder: For what containers see and print.
        container_requests: What containers asked.
        sold_out: GPUs of which none is free.
        wire: Modal's messages, once the server runs.
        container_key: What containers say who they are with.
    """

    options: EmulatorOptions
    folder: Path
    container_requests: RequestLog = field(default_factory=RequestLog)
    sold_out: set[str] = field(default_factory=set)
    container_key: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    _wire: Wire | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def wire(self) -> Wire:
        """Modal's messages.

        Raises:
            RuntimeError: The emulator was not started.
        """
        if self._wire is None:
            raise RuntimeError("the emulator is not running: call start() first")
        return self._wire

    @wire.setter
    def wire(self, wire: Wire) -> None:
        self._wire = wire

    @property
    def pb(self) -> Any:
        """Modal's generated messages and enumerations."""
        return self.wire.pb

    @property
    def now(self) -> float:
        """Clock seconds."""
        return self.timeline.now()

    @property
    def wall(self) -> float:
        """Seconds since the epoch."""
        return self.timeline.wall()

    def new_id(self, prefix: str) -> str:
        """Give an id in Modal's manner, such as ``fu-…``; never the same twice."""
        number = f"{next(self._numbers):06d}"
        letters = "".join(self.random.choices(_LETTERS, k=_ID_LENGTH - len(number)))
        return f"{prefix}-{letters}{number}"
