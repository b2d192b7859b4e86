"""What all parts of the emulator share."""

from __future__ import annotations

import itertools
import random
import secrets
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator import Faults, Meter, RequestLog
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.testing.emulator.signals import Signal, Waker
from gpuhub.testing.emulator.timeline import Timeline
from gpuhub_modal.emulator.options import EmulatorOptions

if TYPE_CHECKING:
    from gpuhub.adapter import Clock
    from gpuhub_modal.emulator.protobuf import Wire

__all__ = ["Site"]

_LETTERS = string.ascii_letters + string.digits
_ID_LENGTH = 22


@dataclass
class Site:
    """One workspace at Modal, as seen from inside.

    Attributes:
        options: How it behaves.
        clock: Its time.
        folder: For what containers see and print.
        timeline: What is due; owns the lock.
        waker: The server's loop.
        changed: Fires whenever containers come, go, or get room.
        pace: Fires whenever time may have to move on.
        meter: The bill.
        faults: What still has to go wrong.
        requests: What clients asked.
        container_requests: What containers asked.
        sold_out: GPUs of which none is free.
        url: Where gRPC is answered, once it is.
        wire: Modal's messages, once the server runs.
        container_key: What containers say who they are with.
        at_work: Things that happen in real time now: processes that start, code that runs.
        waiting: Requests that wait: until when, and whether for nothing any more.
    """

    options: EmulatorOptions
    clock: Clock
    folder: Path
    timeline: Timeline = field(init=False)
    waker: Waker = field(default_factory=Waker)
    changed: Signal = field(init=False)
    pace: Signal = field(init=False)
    meter: Meter = field(default_factory=Meter)
    faults: Faults = field(default_factory=Faults)
    requests: RequestLog = field(default_factory=RequestLog)
    container_requests: RequestLog = field(default_factory=RequestLog)
    sold_out: set[str] = field(default_factory=set)
    url: str = ""
    container_key: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    at_work: int = 0
    waiting: dict[object, tuple[float, Callable[[], bool]]] = field(default_factory=dict)
    _wire: Wire | None = None

    def __post_init__(self) -> None:
        """Build what hangs on the clock."""
        self.timeline = Timeline(self.clock)
        self.changed = Signal(self.waker)
        self.pace = Signal(self.waker)
        self._numbers = itertools.count(1)
        self._random = random.Random(2026)  # noqa: S311 - ids that repeat from run to run

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
    def is_virtual(self) -> bool:
        """Whether time stands still until somebody moves it."""
        return isinstance(self.clock, VirtualClock)

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
        letters = "".join(self._random.choices(_LETTERS, k=_ID_LENGTH - len(number)))
        return f"{prefix}-{letters}{number}"

    @contextmanager
    def change(self) -> Iterator[None]:
        """Hold the lock for a change; what is due before it and by it happens."""
        self.timeline.settle()
        with self.timeline.lock:
            yield
            self.timeline.settle()

    def began(self) -> None:
        """Count one more thing at work. Needs the lock."""
        self.at_work += 1

    def ended(self) -> None:
        """Count it off. Needs the lock."""
        self.at_work -= 1
        self.note()

    def note(self) -> None:
        """Tell whoever waits that something changed. Needs the lock."""
        self.changed.fire()
        self.pace.fire()
