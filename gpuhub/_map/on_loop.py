"""``map_async``: tasks on the running loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from gpuhub._map.blocking import outcome_value
from gpuhub._map.items import (
    Item,
    ItemRunner,
    MapOptions,
    Outcome,
    encoded_items,
    open_run,
)
from gpuhub._map.progress import ProgressShown
from gpuhub.errors import GpuHubError

if TYPE_CHECKING:
    from gpuhub._engine.calls import BoundedIo
    from gpuhub.endpoint import Endpoint


async def map_on_loop(
    endpoint: Endpoint[..., Any], iterables: tuple[Iterable[Any], ...], options: MapOptions
) -> AsyncIterator[Any]:
    """Give results as they are asked for."""
    session = endpoint._session  # noqa: SLF001
    ref = await session.run_async(endpoint._resolve)  # noqa: SLF001
    connections = session.new_connections(options.concurrency)
    io = connections.asynchronous()
    opened = open_run(endpoint, options)
    runner = ItemRunner(
        session.calls,
        ref,
        endpoint._settings,  # noqa: SLF001
        opened[1] if opened else None,
        options.retry_failed,
        lambda *_: None,
    )
    items = encoded_items(lambda args: endpoint._encode(args, {}), iterables)  # noqa: SLF001
    tasks = _Tasks(runner, io, options)
    try:
        with ProgressShown.of(options.progress, endpoint.name, iterables) as shown:
            async for outcome in tasks.outcomes(items):
                shown.step()
                try:
                    value = outcome_value(endpoint, ref, outcome)
                except GpuHubError as error:
                    if not options.return_exceptions:
                        raise
                    value = error
                yield value
    finally:
        await tasks.stop()
        await connections.aclose()
        if opened:
            opened[1].close()
            opened[0].close()


class _Tasks:
    """The window of running and finished items."""

    def __init__(self, runner: ItemRunner, io: BoundedIo, options: MapOptions) -> None:
        self._runner = runner
        self._io = io
        self._options = options
        self._places = asyncio.Semaphore(options.concurrency)
        self._window: list[asyncio.Task[Outcome]] = []

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
