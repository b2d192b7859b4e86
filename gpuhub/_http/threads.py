"""Blocking calls beside an event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

__all__ = ["Threads"]

T = TypeVar("T")
Work = Callable[[], Callable[[], None] | None]
"""Does something, and returns how to tell about it."""

IDLE_S = 5.0
"""How long a thread waits for more work before it ends."""


class Threads:
    """As many daemon threads as there are calls at a time; idle ones are used again.

    Not the loop's executor: it has a handful of threads, where hundreds of calls wait at a time,
    and the interpreter does not end before they do.
    """

    def __init__(self) -> None:
        self._idle: list[SimpleQueue[Work | None]] = []
        self._lock = Lock()
        self._process = os.getpid()

    async def call(self, function: Callable[[], T]) -> T:
        """Run a blocking call in a copy of the context. A cancelled task leaves it behind.

        Raises:
            RuntimeError: The call raised ``StopIteration``, which no coroutine can pass on.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = copy_context()

        def work() -> Callable[[], None]:
            try:
                result = context.run(function)
            except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
                return partial(_deliver, loop, _fail, future, error)
            return partial(_deliver, loop, _finish, future, result)

        self.start(work)
        return await future

    async def iterate(self, make: Callable[[], Iterable[T]]) -> AsyncGenerator[T]:
        """Iterate over a blocking iterable, one item at a time, never on the loop's thread.

        The iterator is closed at the end; after a cancel, as soon as it has given the item that
        it is at, without waiting for that.
        """
        steps = _Steps(await self.call(lambda: iter(make())))
        try:
            while (item := await self.call(steps.begin())) is not _END:
                yield item
        finally:
            if steps.busy:
                self.start(steps.close)
            else:
                await self.call(steps.close)

    def start(self, work: Work) -> None:
        """Run it on a thread, without waiting. It must not raise."""
        if self._process != os.getpid():  # threads do not survive a fork, nor do locks
            self._process, self._lock, self._idle = os.getpid(), Lock(), []
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            Thread(target=self._serve, args=(work,), name="gpuhub-io", daemon=True).start()
        else:
            inbox.put(work)

    def close(self) -> None:
        """End the idle threads now rather than in a few seconds."""
        with self._lock:
            idle, self._idle = self._idle, []
        for inbox in idle:
            inbox.put(None)

    def _serve(self, first: Work) -> None:
        inbox: SimpleQueue[Work | None] = SimpleQueue()
        inbox.put(first)
        del first
        while (work := self._next(inbox)) is not None:
            tell = work()
            # Idle before anybody hears of it: who calls again at once gets the same thread.
            with self._lock:
                self._idle.append(inbox)
            if tell is not None:
                tell()
            del work, tell  # what they refer to must not live until there is more work

    def _next(self, inbox: SimpleQueue[Work | None]) -> Work | None:
        try:
            return inbox.get(timeout=IDLE_S)
        except Empty:
            with self._lock:
                if inbox in self._idle:
                    self._idle.remove(inbox)
                    return None
        return inbox.get()  # taken in the last moment: the work is about to come


def _deliver(loop: asyncio.AbstractEventLoop, how: Callable[..., None], *what: Any) -> None:
    with suppress(RuntimeError):  # the loop was closed: nobody waits any more
        loop.call_soon_threadsafe(how, *what)


def _finish(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if future.done():
        return
    if isinstance(error, StopIteration):
        replacement = RuntimeError("a blocking call raised StopIteration")
        replacement.__cause__ = error
        error = replacement
    future.set_exception(error)


_END: Any = object()


class _Steps(Generic[T]):
    """An iterator whose steps and close come from different threads.

    Attributes:
        busy: Whether a step is under way, or will be as soon as its thread gets to it.
    """

    def __init__(self, iterator: Iterator[T]) -> None:
        self._iterator = iterator
        self._lock = Lock()
        self._closed = False
        self.busy = False

    def begin(self) -> Callable[[], T]:
        """Announce a step; gives what a thread is to call."""
        self.busy = True
        return self.next

    def next(self) -> T:
        """The next item, or ``_END``."""
        try:
            with self._lock:
                item: T = _END if self._closed else next(self._iterator, _END)
                return item
        finally:
            self.busy = False

    def close(self) -> None:
        """Close it once the step under way has ended."""
        with self._lock:
            self._closed = True
            close = getattr(self._iterator, "close", None)
            if close is not None:
                close()
