"""What all parts of the emulator share."""

from __future__ import annotations

import itertools
import random
import secrets
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuhub.testing.emulator import Faults, Meter, RequestLog
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.testing.emulator.signals import Signal, Waker
from gpuhub.testing.emulator.timeline import Timeline
from gpuhub_runpod.emulator.catalog import Catalog
from gpuhub_runpod.emulator.options import EmulatorOptions

if TYPE_CHECKING:
    from gpuhub.adapter import Clock

__all__ = ["Site"]

_LETTERS = string.ascii_lowercase + string.digits


@dataclass
class Site:
    """One account at RunPod, as seen from inside.

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
        worker_requests: What workers asked.
        catalog: What there is to rent.
        user_secrets: Values of ``{{ RUNPOD_SECRET_<name> }}``.
        url: Base address, once it is served.
        worker_key: What workers authorize themselves with.
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
    worker_requests: RequestLog = field(default_factory=RequestLog)
    catalog: Catalog = field(default_factory=Catalog)
    user_secrets: dict[str, str] = field(default_factory=dict, repr=False)
    url: str = ""
    worker_key: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
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

    def new_id(self, prefix: str = "", length: int = 14) -> str:
        """Give an id in RunPod's manner; never the same twice."""
        letters = "".join(self._random.choices(_LETTERS, k=length - 4))
        return f"{prefix}{letters}{next(self._numbers):04d}"

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
