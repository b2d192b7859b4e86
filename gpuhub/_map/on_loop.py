"""``map_async``: tasks on the running loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from gpuhub._map.items import Item, ItemRunner, MapOptions, MapSource, Outcome, opened
from gpuhub._map.progress import ProgressShown

if TYPE_CHECKING:
    from gpuhub._engine.calls import BoundedIo


async def map_on_loop(
    source: MapSource, iterables: tuple[Iterable[Any], ...], options: MapOptions
) -> AsyncIterator[Any]:
    """Give results as they are asked for."""
    ref = await source.session.run_async(source.resolve)
    connections = source.session.new_connections(options.concurrency)
    try:
        with (
            opened(source, ref, options) as runner,
            ProgressShown.of(options.progress, source.name, iterables) as shown,
        ):
            async with _Tasks(runner, connections.asynchronous(), options) as tasks:
                async for outcome in tasks.outcomes(source.items(iterables)):
                    shown.step()
                    yield source.value(ref, outcome, options)
    finally:
        await connections.aclose()


class _Tasks:
    """The window of running and finished items."""

    def __init__(self, runner: ItemRunner, io: BoundedIo, options: MapOptions) -> None:
        self._runner = runner
        self._io = io
        self._options = options
        self._places = asyncio.Semaphore(options.concurrency)
        self._window: list[asyncio.Task[Outcome]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    async def outcomes(self, items: Iterator[Item]) -> AsyncIterator[Outcome]:
        """Keep the window full and give outcomes, in the items' order if asked."""
        exhausted = False
        while True:
            while not exhausted and len(self._window) < self._options.window:
                item = next(items, None)
                if item is None:
                    exhausted = True
                else:
                    self._window.append(asyncio.create_task(self._run(item)))
            if not self._window:
                return
            yield await self._next()

    async def _next(self) -> Outcome:
        if self._options.ordered:
            task = self._window[0]
            await asyncio.wait([task])
        else:
            done, _ = await asyncio.wait(self._window, return_when=asyncio.FIRST_COMPLETED)
            task = next(iter(done))
        self._window.remove(task)
        return task.result()

    async def _run(self, item: Item) -> Outcome:
        async with self._places:
            return await self._runner.run(self._io, item)

    async def stop(self) -> None:
        """Cancel what runs; each task cancels its remote call on the way out."""
        for task in self._window:
            task.cancel()
        await asyncio.gather(*self._window, return_exceptions=True)
