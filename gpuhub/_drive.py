"""Run coroutines that never really suspend, by hand: no event loop and no thread.

Adapters and the engine are ``async def`` over an ``Io``. Over a blocking ``Io`` every await
finishes at once, so one step runs the coroutine to its end on the caller's own stack: Ctrl-C is
raised inside it, a fork copies nothing that is half done, and a running loop is not needed and
not disturbed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator
from contextlib import suppress
from contextvars import copy_context
from typing import Any, TypeVar

__all__ = ["run", "sync_iter"]

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, in a copy of the current context.

    Args:
        coroutine: Awaits nothing but a blocking ``Io``.

    Raises:
        RuntimeError: It awaited something that needs an event loop; raised at that await.
    """
    return copy_context().run(_step, coroutine)


def sync_iter(iterator: AsyncIterator[T]) -> Iterator[T]:
    """Iterate over an asynchronous iterator that awaits nothing but a blocking ``Io``.

    All steps share one copy of the context of the first ``next``. The iterator is closed when
    the iteration ends in any way, a ``break`` included.

    Raises:
        RuntimeError: It awaited something that needs an event loop.
    """
    context = copy_context()
    try:
        while True:
            try:
                item = context.run(_step, _awaited(iterator.__anext__()))
            except StopAsyncIteration:
                return
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            context.run(_step, _awaited(close()))


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _step(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    stray = RuntimeError(
        "a coroutine awaited something other than io: in sync mode coroutines are stepped without"
        " an event loop. Await only the methods of the Io given (io.send, io.sleep, io.run for a"
        " blocking call)"
    )
    # Raised at the await, so that the traceback shows it and the coroutine ends on its own terms.
    with suppress(StopIteration):
        coroutine.throw(stray)
    coroutine.close()  # it caught the error and awaited again, or returned
    raise stray
