"""Blocking calls beside an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import copy_context
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

__all__ = ["iterate_on_threads", "on_thread"]

T = TypeVar("T")


async def on_thread(function: Callable[[], T]) -> T:
    """Run a blocking call on a thread of its own, in a copy of the context.

    Not the loop's executor: it has a handful of threads, where hundreds of calls wait at a time,
    and the interpreter does not end before they do. A cancelled task leaves its thread behind.

    Raises:
        RuntimeError: The call raised ``StopIteration``, which no coroutine can pass on.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = copy_context()

    def work() -> None:
        try:
            result = context.run(function)
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            _deliver(loop, _fail, future, error)
        else:
            _deliver(loop, _finish, future, result)

    Thread(target=work, name="gpuhub-io", daemon=True).start()
    return await future


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


async def iterate_on_threads(make: Callable[[], Iterable[T]]) -> AsyncGenerator[T]:
    """Iterate over a blocking iterable, one item at a time, never on the loop's thread.

    The iterator is closed at the end; after a cancel, as soon as it has given the item that it is
    at, without waiting for that.
    """
    steps = _Steps(await on_thread(lambda: iter(make())))
    try:
        while (item := await on_thread(steps.next)) is not _END:
            yield item
    finally:
        if steps.busy:
            Thread(target=steps.close, name="gpuhub-io-close", daemon=True).start()
        else:
            await on_thread(steps.close)


_END: Any = object()


class _Steps(Generic[T]):
    """An iterator whose steps and close come from different threads."""

    def __init__(self, iterator: Iterator[T]) -> None:
        self._iterator = iterator
        self._lock = Lock()
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether a step is under way."""
        return self._lock.locked()

    def next(self) -> T:
        """The next item, or ``_END``."""
        with self._lock:
            item: T = _END if self._closed else next(self._iterator, _END)
            return item

    def close(self) -> None:
        """Close it once the step under way has ended."""
        with self._lock:
            self._closed = True
            close = getattr(self._iterator, "close", None)
            if close is not None:
                close()
