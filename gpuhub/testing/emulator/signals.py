"""Wakes coroutines of the server's loop when state changes, from whichever thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["RealTimer", "Signal", "Waker"]

T = TypeVar("T")


class Waker:
    """Knows the loop that the server runs on, once it does."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def attach(self) -> None:
        """Take the running loop as the server's."""
        self.loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def wake_with(self, future: asyncio.Future[T], value: T) -> None:
        """Resolve one future of the loop with a value."""
        self.call(lambda: None if future.done() else future.set_result(value))

    def after(self, seconds: float, action: Callable[[], None]) -> RealTimer:
        """Have an action run on the loop after some real seconds."""
        timer = RealTimer(action)
        if self.loop is not None:
            loop = self.loop

            def begin() -> None:
                loop.call_later(seconds, timer.fire)

            self.call(begin)
        return timer

    def call(self, action: Callable[[], None]) -> None:
        """Run an action on the loop: at once when this is its thread."""
        if threading.get_ident() == self._thread:
            action()
        elif self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(action)

    def wake(self, futures: list[asyncio.Future[None]]) -> None:
        """Resolve futures of the loop."""
        self.call(lambda: _resolve(futures))


class RealTimer:
    """Something due at a moment of real time; may be called off."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Call it off; does no harm afterwards."""
        self.action = None

    def fire(self) -> None:
        """Let it happen, unless it was called off."""
        if self.action is not None:
            self.action()


class Signal:
    """One place to wait for «something changed here»."""

    __slots__ = ("_futures", "_waker")

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self._futures: list[asyncio.Future[None]] = []

    def listen(self) -> asyncio.Future[None]:
        """Give a future of the next change. Take it before looking at the state, with the lock."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._futures.append(future)
        return future

    def fire(self) -> None:
        """Wake all who wait. Needs the state's lock."""
        if self._futures:
            futures, self._futures = self._futures, []
            self._waker.wake(futures)


def _resolve(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
