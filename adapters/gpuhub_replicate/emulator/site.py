"""What all parts of the emulator share."""

from __future__ import annotations

import itertools
import random
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gpuhub.testing.emulator import Faults, Meter, RequestLog
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.testing.emulator.signals import Signal, Waker
from gpuhub.testing.emulator.timeline import Timeline
from gpuhub_replicate.emulator.options import EmulatorOptions

if TYPE_CHECKING:
    from gpuhub.adapter import Clock

__all__ = ["Site", "timestamp"]

_LETTERS = string.ascii_lowercase + string.digits


@dataclass
class Site:
    """One account at Replicate, as seen from inside.

    Attributes:
        options: How it behaves.
        clock: Its time.
        timeline: What is due; owns the lock.
        waker: The server's loop.
        changed: Fires whenever workers come, go, or get room.
        pace: Fires whenever time may have to move on.
        meter: The bill.
        faults: What still has to go wrong.
        requests: What clients asked.
        url: Base address, once it is served.
        at_work: Things that happen in real time now: processes that start, code that runs.
        waiting: Requests that wait: until when, and whether for nothing any more.
    """

    options: EmulatorOptions
    clock: Clock
    timeline: Timeline = field(init=False)
    waker: Waker = field(default_factory=Waker)
    changed: Signal = field(init=False)
    pace: Signal = field(init=False)
    meter: Meter = field(default_factory=Meter)
    faults: Faults = field(default_factory=Faults)
    requests: RequestLog = field(default_factory=RequestLog)
    url: str = ""
    at_work: int = 0
    waiting: dict[object, tuple[float, Callable[[], bool]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Build what hangs on the clock."""
        self.timeline = Timeline(self.clock)
        self.changed = Signal(self.waker)
        self.pace = Signal(self.waker)
        self._numbers = itertools.count(1)
        self._random = random.Random(2026)  # noqa: S311 - ids that repeat from run to run

    @property
    def is_virtual(self) -> bool:
        """Whether time stands still until somebody moves it."""
        return isinstance(self.clock, VirtualClock)

    def new_id(self, length: int = 26) -> str:
        """Give an id in Replicate's manner; never the same twice."""
        letters = "".join(self._random.choices(_LETTERS, k=length - 5))
        return f"{letters}{next(self._numbers):05d}"

    def stamp(self) -> str:
        """Give the time as the API shows it."""
        return timestamp(self.timeline.wall())

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


def timestamp(wall: float) -> str:
    """Give RFC 3339 of seconds since the epoch."""
    moment = datetime.fromtimestamp(wall, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
