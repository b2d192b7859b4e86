"""What all parts of an emulator share: its time, its lock, its faults, its record, its bill."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuhub.adapter.reading import rfc3339
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.testing.emulator.faults import Faults
from gpuhub.testing.emulator.meter import Meter
from gpuhub.testing.emulator.recording import RequestLog
from gpuhub.testing.emulator.signals import Signal, Waker
from gpuhub.testing.emulator.timeline import Timeline

if TYPE_CHECKING:
    from gpuhub.adapter import Clock
    from gpuhub.testing.emulator.signals import RealTimer
    from gpuhub.testing.emulator.timeline import Timer

__all__ = ["EmulatorSite"]


@dataclass(kw_only=True)
class EmulatorSite:
    """One account at a provider, as seen from inside; an emulator adds what is its own.

    Attributes:
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
        random: Gives ids that repeat from run to run.
    """

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
    random: random.Random = field(default_factory=lambda: random.Random(2026))  # noqa: S311 - ids

    def __post_init__(self) -> None:
        """Build what hangs on the clock."""
        self.timeline = Timeline(self.clock)
        self.changed = Signal(self.waker)
        self.pace = Signal(self.waker)

    @property
    def is_virtual(self) -> bool:
        """Whether time stands still until somebody moves it."""
        return isinstance(self.clock, VirtualClock)

    def stamp(self) -> str:
        """Give the time as APIs show it."""
        return rfc3339(self.timeline.wall())

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

    def at_limit(
        self, seconds: float, action: Callable[[], None], *, is_real: bool
    ) -> Timer | RealTimer:
        """Have an action happen when something has gone on too long. Needs the lock.

        Args:
            seconds: How long it may.
            action: Called with the lock.
            is_real: Whether code really runs meanwhile. A virtual clock does not measure that, so
                real seconds count then.
        """
        if not (is_real and self.is_virtual):
            return self.timeline.after(seconds, action)

        def act() -> None:
            with self.change():
                action()

        return self.waker.after(seconds, act)

    def note(self) -> None:
        """Tell whoever waits that something changed. Needs the lock."""
        self.changed.fire()
        self.pace.fire()
