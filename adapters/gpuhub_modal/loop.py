"""Runs coroutines on the event loop of Modal's SDK, which has its own thread.

So a blocking call of ours is no blocking call of the SDK's: it works inside of a running loop, and
warns nobody. There is no other loop in an adapter.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - the SDK's loop, not the engine's
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from gpuhub.errors import AdapterNotInstalled
from gpuhub_modal.errors import named_errors
from gpuhub_modal.sdk import event_loop

__all__ = ["following", "iterated", "waited", "within"]

T = TypeVar("T")

_PATIENCE, _PAUSE_S = 100, 0.01


def waited(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine and wait for it; interrupted, it is cancelled.

    Raises:
        AdapterNotInstalled: There is no SDK, and so no loop.
    """
    try:
        loop = event_loop()
    except AdapterNotInstalled:
        coroutine.close()
        raise
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def within(seconds: float, coroutine: Coroutine[Any, Any, T]) -> T:
    """Await it for so long.

    Raises:
        TimeoutError: It had not ended.
    """
    return await asyncio.wait_for(coroutine, seconds)


async def following(items: AsyncIterator[T]) -> T | None:
    """Give the next item; ``None`` at the end."""
    try:
        return await items.__anext__()
    except StopAsyncIteration:
        return None


def iterated(make: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
    """Iterate; closed at the end, however it comes.

    Raises:
        ProviderError: Modal refused, or the connection was lost.
    """
    items = make()
    try:
        while True:
            with named_errors():
                item = waited(following(items))
            if item is None:
                return
            yield item
    finally:
        waited(_closed(items))


async def _closed(items: Any) -> None:
    """Close it; interrupted, its last step may still be on its way to its end."""
    for _ in range(_PATIENCE):
        try:
            await items.aclose()
        except RuntimeError:
            await asyncio.sleep(_PAUSE_S)
        else:
            return
