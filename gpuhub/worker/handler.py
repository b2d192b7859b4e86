"""Runs the user's function, class or generator and wraps what comes out in envelopes."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Callable

from gpuhub.worker.instance import Instance, SetupFailed
from gpuhub.worker.loop import LoopThread
from gpuhub.worker.signature import CallShape
from gpuhub.worker.store import fetch_references, has_references, store_large
from gpuhub.worker.target import Target
from gpuhub.worker.wire import (
    WIRE,
    end_envelope,
    error_envelope,
    result_envelope,
    without_secrets,
)

if TYPE_CHECKING:
    from gpuhub.worker.asgi import AsgiApp

__all__ = ["Handler"]

Envelope = dict[str, Any]


class Handler:
    """One target, ready to be called any number of times, from any thread.

    Nothing the user's code raises leaves it, except ``KeyboardInterrupt`` and the cancellation
    of the task that awaits it.

    Args:
        target_object: The raw function, generator function or class; for ``web`` the function
            that makes the ASGI application.
        target: Its description.
        failure: Why there is no object; see :meth:`failed`.
        secrets: Environment variables whose values no error may show.

    Raises:
        SignatureProblem: A parameter cannot travel by name.
    """

    def __init__(
        self,
        target_object: Any,
        target: Target,
        *,
        failure: BaseException | None = None,
        secrets: Iterable[str] = (),
    ) -> None:
        self.target = target
        self._secrets = tuple(secrets)
        self.target_object = target_object
        self._loop = LoopThread()
        self._instance = Instance(target_object, target, self._loop.run, failure)
        self._shape: CallShape | None = None
        if target.kind != "web" and failure is None:
            self._shape = CallShape(target_object, target)

    @classmethod
    def failed(
        cls, target: Target, error: BaseException, *, secrets: Iterable[str] = ()
    ) -> Handler:
        """Give a handler that answers every call with this error, such as a failed import."""
        return cls(None, target, failure=error, secrets=secrets)

    def prepare(self) -> None:
        """Run ``setup()`` of a class, once. A failure is reported by each call, not raised."""
        try:
            self._instance.get()
        except SetupFailed:
            return

    async def prepare_async(self) -> None:
        """Run ``setup()`` of a class, once, beside the running loop."""
        try:
            await self._instance.get_async()
        except SetupFailed:
            return

    def invoke(self, arguments: Mapping[str, Any]) -> Envelope:
        """Run one call. Blocks; the items of a generator are collected in a list.

        Args:
            arguments: JSON values by parameter name.

        Returns:
            ``{"result": …}`` or ``{"gpuhub_error": …}``, made of JSON values.
        """
        if self.target.is_async:
            envelope: Envelope = self._loop.run(self.invoke_async(arguments))
            return envelope
        try:
            outcome = self._call(self._instance.get(), arguments)
            if inspect.isawaitable(outcome) or hasattr(outcome, "__anext__"):
                outcome = self._loop.run(_collect_async(outcome))
            return self._result(_collect(outcome))
        except BaseException as error:  # noqa: BLE001
            return self._answer(error)

    async def invoke_async(self, arguments: Mapping[str, Any]) -> Envelope:
        """Run one call on the running loop; a target that is not async runs on a thread."""
        if not self.target.is_async:
            return await asyncio.to_thread(self.invoke, arguments)
        try:
            function = await self._instance.get_async()
            arguments = await _fetched(arguments)
            return self._result(await _collect_async(self._call(function, arguments)))
        except BaseException as error:  # noqa: BLE001
            _raise_cancellation(error)
            return self._answer(error)

    def stream(self, arguments: Mapping[str, Any]) -> Iterator[Envelope]:
        """Run one call and yield as it goes. Any function can be streamed: it gives one item.

        Yields:
            ``{"result": item}`` each, and last ``{"gpuhub_end": …}`` or ``{"gpuhub_error": …}``.
        """
        if self.target.is_async:
            yield from self._loop.iterate(self.stream_async(arguments))
            return
        try:
            count = 0
            with _closing(_items(self._call(self._instance.get(), arguments))) as items:
                for item in items:
                    yield self._item(item)
                    count += 1
            yield end_envelope(count)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001
            yield self._answer(error)

    async def stream_async(self, arguments: Mapping[str, Any]) -> AsyncIterator[Envelope]:
        """Run one call on the running loop and yield as it goes; see :meth:`stream`."""
        if not self.target.is_async:
            async for envelope in _on_one_thread(lambda: self.stream(arguments)):
                yield envelope
            return
        try:
            count = 0
            function = await self._instance.get_async()
            arguments = await _fetched(arguments)
            items = _items_async(self._call(function, arguments))
            async with _closing_async(items):
                async for item in items:
                    yield self._item(item)
                    count += 1
            yield end_envelope(count)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001
            _raise_cancellation(error)
            yield self._answer(error)

    def describe(self) -> dict[str, Any]:
        """Give ``{"status", "target", "wire", "python"}``, and ``"error"`` if setup failed."""
        facts = {
            "status": self._instance.status,
            "target": self.target.to_dict(),
            "wire": WIRE,
            "python": ".".join(map(str, sys.version_info[:3])),
        }
        failure = self._instance.failure
        return {**facts, **({"error": without_secrets(failure, self._secrets)} if failure else {})}

    def web_app(self) -> AsgiApp:
        """Make the ASGI application of a web target; it runs on the handler's event loop.

        Raises:
            TypeError: The function did not give an ASGI application.
        """
        from gpuhub.worker.asgi import AsgiApp

        app = self._instance.get()()
        if inspect.isawaitable(app):
            app = self._loop.run(_collect_async(app))
        if not callable(app):
            name = self.target.qualname
            raise TypeError(f"{name}() must give an ASGI application, not {type(app).__name__}")
        return AsgiApp(app, self._loop)

    def close(self) -> None:
        """Stop the handler's event loop."""
        self._loop.close()

    def _call(self, function: Callable[..., Any], arguments: Any) -> Any:
        return function(**self._known_shape().decode_arguments(fetch_references(arguments)))

    def _result(self, value: Any) -> Envelope:
        return result_envelope(store_large(self._known_shape().encode_result(value)))

    def _item(self, value: Any) -> Envelope:
        return result_envelope(store_large(self._known_shape().encode_item(value)))

    def _answer(self, error: BaseException) -> Envelope:
        if isinstance(error, KeyboardInterrupt):
            raise error
        envelope = error.envelope if isinstance(error, SetupFailed) else error_envelope(error)
        return without_secrets(envelope, self._secrets)

    def _known_shape(self) -> CallShape:
        if self._shape is None:
            raise TypeError(f"{self.target.qualname} is a web application: send it HTTP requests")
        return self._shape


async def _fetched(arguments: Any) -> Any:
    """Fetch what came by reference without blocking the loop."""
    if not has_references(arguments):
        return arguments
    return await asyncio.to_thread(fetch_references, arguments)


def _raise_cancellation(error: BaseException) -> None:
    """Let a cancellation of this very task through; user code may raise the same exception."""
    if isinstance(error, asyncio.CancelledError):
        cancelling = getattr(asyncio.current_task(), "cancelling", None)
        if cancelling is None or cancelling():
            raise error


def _collect(outcome: Any) -> Any:
    return list(outcome) if isinstance(outcome, Iterator) else outcome


async def _collect_async(outcome: Any) -> Any:
    if inspect.isawaitable(outcome):
        outcome = await outcome
    if hasattr(outcome, "__anext__"):
        return [item async for item in outcome]
    return _collect(outcome)


def _items(outcome: Any) -> Iterator[Any]:
    return outcome if isinstance(outcome, Iterator) else iter([outcome])


@contextlib.contextmanager
def _closing(items: Iterator[Any]) -> Iterator[Iterator[Any]]:
    """Let a generator of the user's clean up now, however the loop over it ends."""
    try:
        yield items
    finally:
        if hasattr(items, "close"):
            items.close()


@contextlib.asynccontextmanager
async def _closing_async(items: AsyncIterator[Any]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        if hasattr(items, "aclose"):
            await items.aclose()


async def _items_async(outcome: Any) -> AsyncIterator[Any]:
    if inspect.isawaitable(outcome):
        outcome = await outcome
    if not hasattr(outcome, "__anext__"):
        for item in _items(outcome):
            yield item
        return
    async with _closing_async(outcome):
        async for item in outcome:
            yield item


async def _on_one_thread(make: Callable[[], Iterator[Any]]) -> AsyncIterator[Any]:
    """Iterate on one thread from beginning to end: libraries keep state by thread."""
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    ended = object()
    with ThreadPoolExecutor(1, "gpuhub-stream") as thread:
        items = await loop.run_in_executor(thread, context.run, make)
        following: Callable[[], Any] = functools.partial(context.run, next, items, ended)
        try:
            while True:
                item = await loop.run_in_executor(thread, following)
                if item is ended:
                    return
                yield item
        finally:
            await loop.run_in_executor(thread, context.run, items.close)  # type: ignore[attr-defined]
