"""Clocks: the system's, one that tests move by hand, and one that runs fast."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Protocol, runtime_checkable

from typing_extensions import override

__all__ = ["ScaledClock", "SleepsOnLoop", "SystemClock", "VirtualClock"]

NEW_YEAR_2026 = 1_767_225_600.0
"""Epoch seconds of 2026-01-01T00:00:00Z, where virtual wall clocks start."""


@runtime_checkable
class SleepsOnLoop(Protocol):
    """A clock that can wait on an event loop without blocking it."""

    async def sleep_async(self, seconds: float) -> None:
        """Wait, letting other tasks run."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Block for that long; a negative time is none."""
        time.sleep(max(0.0, seconds))  # noqa: TID251 - this is the clock the others await

    async def sleep_async(self, seconds: float) -> None:
        """Wait on the running loop."""
        await _loop_sleep(max(0.0, seconds))


class _Watched:
    """Tells who asked whenever time was moved."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._watchers: dict[object, Callable[[], None]] = {}

    def on_advance(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback()`` run after every move, on the thread that moved the clock.

        Returns:
            A function that ends it; calling it again does nothing.
        """
        key = object()
        with self._lock:
            self._watchers[key] = callback
        return lambda: self._forget(key)

    def _forget(self, key: object) -> None:
        with self._lock:
            self._watchers.pop(key, None)

    def _tell(self) -> None:
        """Run the callbacks, without the lock: they may read, move or watch the clock."""
        with self._lock:
            watchers = list(self._watchers.values())
        for watcher in watchers:
            watcher()


class VirtualClock(_Watched):
    """Time that stands still until somebody sleeps or moves it. Safe to share among threads.

    Args:
        start: First value of :meth:`now`, in seconds.
        epoch: First value of :meth:`wall`. Default: 2026-01-01T00:00:00Z.
    """

    def __init__(self, start: float = 0.0, *, epoch: float = NEW_YEAR_2026) -> None:
        super().__init__()
        self._now = start
        self._epoch = epoch - start

    @override
    def __repr__(self) -> str:
        """Show the time."""
        return f"VirtualClock({self._now})"

    def now(self) -> float:
        """Virtual seconds; never goes back."""
        return self._now

    def wall(self) -> float:
        """Virtual seconds since the epoch, UTC."""
        return self._epoch + self._now

    def sleep(self, seconds: float) -> None:
        """Move to the end of the sleep at once; a negative time is none."""
        self._reach(self._now + max(0.0, seconds))

    async def sleep_async(self, seconds: float) -> None:
        """Move to the end of the sleep after other tasks had a turn.

        Tasks that begin to sleep together sleep at the same time, not one after the other.
        """
        wake = self._now + max(0.0, seconds)
        await _loop_sleep(0)
        self._reach(wake)

    def advance(self, seconds: float) -> None:
        """Move forward and run the callbacks.

        Raises:
            ValueError: ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError(f"seconds must be at least 0: time does not go back (got {seconds})")
        with self._lock:
            self._now += seconds
        self._tell()

    def _reach(self, moment: float) -> None:
        with self._lock:
            self._now = max(self._now, moment)
        self._tell()


class ScaledClock(_Watched):
    """The machine's time, running ``rate`` times as fast: a cold start of 30 s takes one.

    Args:
        rate: Clock seconds per real second, above 0.

    Raises:
        ValueError: ``rate`` is not above 0.
    """

    def __init__(self, rate: float) -> None:
        if rate <= 0:
            raise ValueError(f"rate must be above 0 (got {rate})")
        super().__init__()
        self._rate = rate
        self._started = time.monotonic()
        self._epoch = time.time()
        self._skipped = 0.0

    @override
    def __repr__(self) -> str:
        """Show the rate."""
        return f"ScaledClock({self._rate})"

    def now(self) -> float:
        """Clock seconds since it was made."""
        return (time.monotonic() - self._started) * self._rate + self._skipped

    def wall(self) -> float:
        """Seconds since the epoch, UTC, running just as fast."""
        return self._epoch + self.now()

    def sleep(self, seconds: float) -> None:
        """Block for ``seconds / rate``, then run the callbacks."""
        time.sleep(max(0.0, seconds) / self._rate)  # noqa: TID251 - a clock, as above
        self._tell()

    async def sleep_async(self, seconds: float) -> None:
        """Wait on the running loop for ``seconds / rate``, then run the callbacks."""
        await _loop_sleep(max(0.0, seconds) / self._rate)
        self._tell()

    def advance(self, seconds: float) -> None:
        """Skip forward and run the callbacks.

        Raises:
            ValueError: ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError(f"seconds must be at least 0: time does not go back (got {seconds})")
        with self._lock:
            self._skipped += seconds
        self._tell()


async def _loop_sleep(seconds: float) -> None:
    import asyncio  # noqa: TID251 - only for those who run on a loop

    await asyncio.sleep(seconds)
