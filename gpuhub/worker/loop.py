"""One event loop in a thread, for targets that are ``async`` and callers that are not."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

__all__ = ["LoopThread"]


class LoopThread:
    """An event loop that lives as long as the worker.

    A new loop for each call would break what the user's code keeps between calls, such as an
    HTTP client's connections. The thread starts with the first use.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner = 0

    def loop(self) -> asyncio.AbstractEventLoop:
        """Give the running loop."""
        with self._lock:
            # A server that forks after loading leaves the thread behind in the parent.
            if self._loop is None or self._owner != os.getpid():
                self._loop, self._owner = asyncio.new_event_loop(), os.getpid()
                threading.Thread(
                    target=_serve, args=(self._loop,), name="gpuhub-loop", daemon=True
                ).start()
            return self._loop

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end and give its result."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        """Yield what an async iterator gives; it stays at most one item ahead.

        One task drives it from beginning to end: timeouts and cancel scopes around a ``yield``
        depend on that. Closing this generator cancels the task.
        """
        handover: queue.Queue[tuple[Any, Any]] = queue.Queue()
        loop = self.loop()

        async def pump() -> None:
            try:
                async for item in items:
                    taken = asyncio.Event()
                    handover.put((taken, item))
                    await taken.wait()
            finally:
                handover.put((None, None))
                if hasattr(items, "aclose"):
                    await items.aclose()

        future = asyncio.run_coroutine_threadsafe(pump(), loop)
        try:
            while True:
                taken, item = handover.get()
                if taken is None:
                    future.result()
                    return
                yield item
                loop.call_soon_threadsafe(taken.set)
        finally:
            future.cancel()

    def close(self) -> None:
        """Stop the loop, cancelling what runs on it."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(_stop, loop)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _stop(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
    # After the cancellations have been delivered.
    loop.call_soon(loop.call_soon, loop.stop)
