"""The three ways of calling: blocking, on an event loop, and blocking inside a running loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import aclosing, closing
from typing import Any, Literal, TypeVar, cast

__all__ = ["MODES", "Drive", "Mode"]

T = TypeVar("T")
Mode = Literal["sync", "async", "sync-in-loop"]

MODES: tuple[Mode, ...] = ("sync", "async", "sync-in-loop")


class Drive:
    """Calls a public method or its ``_async`` twin, so that one test covers both.

    Args:
        mode: ``sync`` calls the method, ``async`` awaits its twin on a loop that lives as long as
            the test, ``sync-in-loop`` calls the method while a loop runs, as notebooks do.
        runner: Owns the loop.
    """

    def __init__(self, mode: Mode, runner: asyncio.Runner) -> None:
        self.mode = mode
        self._runner = runner

    def call(self, target: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Give what ``target.<name>(…)`` returns, whichever way it is called."""
        if self.mode == "async":
            return self._runner.run(getattr(target, f"{name}_async")(*args, **kwargs))
        return self.do(lambda: getattr(target, name)(*args, **kwargs))

    def items(self, target: Any, name: str, /, *args: Any, **kwargs: Any) -> list[Any]:
        """Give all items of an iterating method (``map``, ``stream``, ``logs``)."""
        return self.take(None, target, name, *args, **kwargs)

    def take(
        self, count: int | None, target: Any, name: str, /, *args: Any, **kwargs: Any
    ) -> list[Any]:
        """Give the first items of an iterating method, then close it, as a ``break`` does."""
        taken: list[Any] = []
        self.take_into(taken, count, target, name, *args, **kwargs)
        return taken

    def take_into(
        self,
        taken: list[Any],
        count: int | None,
        target: Any,
        name: str,
        /,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Do the same into a list, which keeps what came before an error."""
        if self.mode == "async":
            items = getattr(target, f"{name}_async")(*args, **kwargs)
            self._runner.run(_take_async(taken, count, items))
        else:
            self.do(lambda: _take(taken, count, getattr(target, name)(*args, **kwargs)))

    def together(self, target: Any, name: str, arguments: Iterable[Any], workers: int) -> list[Any]:
        """Call a method once for each argument, all at the same time.

        Returns:
            Results in the order of the arguments; an exception in the place of a failed one.
        """
        if self.mode == "async":
            method = getattr(target, f"{name}_async")
            return self._runner.run(_gather([method(each) for each in arguments]))
        method = getattr(target, name)
        return self.do(lambda: _in_threads(method, list(arguments), workers))

    def meanwhile(
        self,
        target: Any,
        name: str,
        arguments: tuple[Any, ...],
        *,
        ready: Callable[[], bool],
        then: Callable[[], Any],
    ) -> Any:
        """Call a method and do something else once ``ready``, while the call still waits.

        In async mode both happen on one loop: a call that blocks it keeps ``then`` from running.
        """
        if self.mode == "async":
            call = getattr(target, f"{name}_async")
            return self._runner.run(_meanwhile(call(*arguments), ready, then))
        method = getattr(target, name)
        return self.do(lambda: _beside(lambda: method(*arguments), ready, then))

    def do(self, action: Callable[[], T]) -> T:
        """Run blocking code, inside a running loop when the mode says so."""
        if self.mode != "sync-in-loop":
            return action()

        async def inside_loop() -> T:
            return action()

        return self._runner.run(inside_loop())

    def close(self, workspace: Any) -> None:
        """Close a workspace the way it was used."""
        if self.mode == "async":
            self._runner.run(workspace.close_async())
        else:
            self.do(workspace.close)


def _take(taken: list[Any], count: int | None, items: Any) -> None:
    with closing(items):
        for item in items:
            taken.append(item)
            if len(taken) == count:
                return


async def _take_async(taken: list[Any], count: int | None, items: Any) -> None:
    async with aclosing(cast("Any", items)) as opened:
        async for item in cast("AsyncIterator[Any]", opened):
            taken.append(item)
            if len(taken) == count:
                return


async def _gather(coroutines: list[Any]) -> list[Any]:
    return await asyncio.gather(*coroutines, return_exceptions=True)


def _in_threads(method: Callable[[Any], Any], arguments: list[Any], workers: int) -> list[Any]:
    def attempt(argument: Any) -> Any:
        try:
            return method(argument)
        except Exception as error:  # noqa: BLE001 - given to the test, as gather does
            return error

    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(attempt, arguments))


async def _meanwhile(call: Any, ready: Callable[[], bool], then: Callable[[], Any]) -> Any:
    task = asyncio.create_task(call)
    while not ready() and not task.done():  # noqa: ASYNC110 - a worker sets no event
        await asyncio.sleep(0.005)
    then()
    return await task


def _beside(call: Callable[[], Any], ready: Callable[[], bool], then: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(call)
        while not ready():
            if wait([future], 0.005).done:
                break
        then()
        return future.result()
