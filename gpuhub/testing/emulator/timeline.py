"""What is due when: moved by the emulator's clock, whoever moves that."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.clocks import SystemClock

if TYPE_CHECKING:
    from gpuhub.adapter import Clock

__all__ = ["Timeline", "Timer"]


class Timer:
    """Something due at a moment; may be called off."""

    __slots__ = ("action", "due")

    def __init__(self, due: float, action: Callable[[], None]) -> None:
        self.due = due
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Call it off; does no harm afterwards."""
        self.action = None


class Timeline:
    """The state's lock and its time. Everything that changes state holds the lock.

    Args:
        clock: Whose time it is.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._moment: float | None = None

    def now(self) -> float:
        """Clock seconds; inside an action, the moment it was due."""
        return self.clock.now() if self._moment is None else self._moment

    def wall(self) -> float:
        """Seconds since the epoch at :meth:`now`."""
        wall: Callable[[], float] = getattr(self.clock, "wall", SystemClock().wall)
        return wall() - self.clock.now() + self.now()

    def at(self, due: float, action: Callable[[], None]) -> Timer:
        """Have an action run, with the lock held, when its time has come."""
        timer = Timer(due, action)
        heapq.heappush(self._heap, (due, next(self._numbers), timer))
        return timer

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Have an action run so many seconds from now."""
        return self.at(self.now() + seconds, action)

    def settle(self) -> None:
        """Run what is due, in order, each at its own moment. Needs no lock."""
        with self.lock:
            if self._moment is not None:  # an action moved the clock: the loop below goes on
                return
            now = self.clock.now()
            try:
                while self._heap and self._heap[0][0] <= now:
                    due, _, timer = heapq.heappop(self._heap)
                    if timer.action is not None:
                        self._moment = due
                        timer.action()
            finally:
                self._moment = None

    def next_due(self) -> float | None:
        """When something is due next; ``None``: nothing ever is."""
        with self.lock:
            while self._heap and self._heap[0][2].action is None:
                heapq.heappop(self._heap)
            return self._heap[0][0] if self._heap else None
