"""What Modal calls in the container: the user's function behind functions of one argument.

Modal imports this module from the mounted folder and calls the function that ``FunctionCreate``
names. gpuhub's client sends the arguments as JSON in ``bytes`` and gets the envelope so; a plain
Modal client may pass them by name, and gets a dictionary.

The user's code is loaded when this module is imported, in the container only, so that a memory
snapshot holds it. Errors are answers, not exceptions, unless the function has retries: Modal runs
again what raised.

Standard library and gpuhub's worker; Python 3.10 or newer.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub.worker.handler import Handler

__all__ = ["MARK", "WARM", "Runs"]

WARM = b'{"__gpuhub_warm":true}'
"""A call that only starts the container."""
MARK = "gpuhub_error "
"""Beginning of an exception's text that holds an envelope."""

_FOLDER = Path(__file__).resolve().parent
_WARMED = b'{"result":null}'
_CANCELLED = "modal.exception.InputCancellation"

Envelope = dict[str, Any]


class Runs:
    """Runs of the user's function.

    Args:
        handler: gpuhub's.
        retries: Times Modal runs again what raised.
    """

    def __init__(self, handler: Handler, retries: int = 0) -> None:
        self.handler = handler
        self._retries = retries

    def call(self, payload: bytes, plain: Mapping[str, Any]) -> Any:
        """Run one call."""
        if payload == WARM:
            return _WARMED
        return self._answer(self.handler.invoke(_arguments(payload, plain)), bool(plain))

    async def call_async(self, payload: bytes, plain: Mapping[str, Any]) -> Any:
        """Run one call on the running loop."""
        if payload == WARM:
            return _WARMED
        envelope = await self.handler.invoke_async(_arguments(payload, plain))
        return self._answer(envelope, bool(plain))

    def stream(self, payload: bytes, plain: Mapping[str, Any]) -> Iterator[Any]:
        """Run a generator; the last item tells that it ended, or why."""
        if payload == WARM:
            return
        for envelope in self.handler.stream(_arguments(payload, plain)):
            yield envelope if plain else _written(envelope)

    async def stream_async(self, payload: bytes, plain: Mapping[str, Any]) -> AsyncIterator[Any]:
        """Run an async generator on the running loop."""
        if payload == WARM:
            return
        envelopes = self.handler.stream_async(_arguments(payload, plain))
        try:
            async for envelope in envelopes:
                yield envelope if plain else _written(envelope)
        finally:
            await envelopes.aclose()  # type: ignore[attr-defined]

    def batch(self, payloads: Sequence[bytes]) -> list[bytes]:
        """Run several calls as one."""
        real = [payload for payload in payloads if payload != WARM]
        answers = iter(self._split(self.handler.invoke(_merged(real)), len(real)) if real else ())
        return [_WARMED if payload == WARM else next(answers) for payload in payloads]

    async def batch_async(self, payloads: Sequence[bytes]) -> list[bytes]:
        """Run several calls as one on the running loop."""
        real = [payload for payload in payloads if payload != WARM]
        answers: Iterator[bytes] = iter(())
        if real:
            envelope = await self.handler.invoke_async(_merged(real))
            answers = iter(self._split(envelope, len(real)))
        return [_WARMED if payload == WARM else next(answers) for payload in payloads]

    def _answer(self, envelope: Envelope, plain: bool) -> Any:
        self._raise_for_modal(envelope)
        return envelope if plain else _written(envelope)

    def _split(self, envelope: Envelope, count: int) -> list[bytes]:
        """Give each call its item of the result; an error is everyone's."""
        self._raise_for_modal(envelope)
        results = envelope.get("result")
        if "gpuhub_error" in envelope:
            return [_written(envelope)] * count
        if not isinstance(results, list) or len(results) != count:
            got = f"{len(results)} items" if isinstance(results, list) else type(results).__name__
            problem = f"a batched function gives a list of {count} results, not {got}"
            return [_written(_problem(problem))] * count
        return [_written({"result": result}) for result in results]

    def _raise_for_modal(self, envelope: Envelope) -> None:
        """Raise what Modal itself must see: a cancelled run, and one that is to be run again."""
        error = envelope.get("gpuhub_error")
        if error is None:
            return
        if error.get("type") == _CANCELLED:
            from modal.exception import InputCancellation

            raise InputCancellation(error.get("message", ""))
        if self._retries:
            raise RuntimeError(MARK + _written(envelope).decode())


def _arguments(payload: bytes, plain: Mapping[str, Any]) -> dict[str, Any]:
    if plain:
        return dict(plain)
    from gpuhub.worker.wire import loads

    found = loads(payload)
    return dict(found) if isinstance(found, dict) else {}


def _merged(payloads: Sequence[bytes]) -> dict[str, list[Any]]:
    """Give the arguments of a batch: ``{"x": 1}`` and ``{"x": 2}`` make ``{"x": [1, 2]}``."""
    calls = [_arguments(payload, {}) for payload in payloads]
    return {name: [call.get(name) for call in calls] for name in calls[0]}


def _written(envelope: Envelope) -> bytes:
    from gpuhub.worker.wire import envelope_bytes

    return envelope_bytes(envelope)


def _problem(message: str) -> Envelope:
    from gpuhub.worker.wire import error_envelope

    return error_envelope(ValueError(message))


def _load(folder: Path) -> Runs | None:
    """Load the bundle beside this file; there is none where a deploy imports the module."""
    bundle = folder / "bundle"
    if not (bundle / "manifest.json").is_file():
        return None
    told = json.loads((folder / "deployment.json").read_text("utf-8"))
    sys.path.insert(0, str(bundle / "runtime"))
    from gpuhub.worker.load import load_bundle

    handler = load_bundle(bundle)
    # An async setup() belongs to the loop that runs the calls: the first of them runs it.
    if told["prepare"] and not handler.target.is_async and handler.target.kind != "web":
        handler.prepare()
    return Runs(handler, told["retries"])


_loaded = _load(_FOLDER)


def _runs() -> Runs:
    if _loaded is None:
        raise RuntimeError("this module runs in a container of Modal's")
    return _loaded


# What FunctionCreate may name. Modal looks at their kind and signature.


def call(payload: bytes = b"{}", /, **arguments: Any) -> Any:
    """Call a function that is not async."""
    return _runs().call(payload, arguments)


async def call_async(payload: bytes = b"{}", /, **arguments: Any) -> Any:
    """Call an async function."""
    return await _runs().call_async(payload, arguments)


def stream(payload: bytes = b"{}", /, **arguments: Any) -> Iterator[Any]:
    """Run a generator function."""
    yield from _runs().stream(payload, arguments)


async def stream_async(payload: bytes = b"{}", /, **arguments: Any) -> AsyncIterator[Any]:
    """Run an async generator function."""
    async for item in _runs().stream_async(payload, arguments):
        yield item


def batch(payload: Any) -> list[bytes]:
    """Call a function with several calls' arguments: Modal gives the payloads as a list."""
    return _runs().batch(payload)


async def batch_async(payload: Any) -> list[bytes]:
    """Call an async function with several calls' arguments."""
    return await _runs().batch_async(payload)


def web() -> Any:
    """Make the user's ASGI application; Modal runs its start and end."""
    handler = _runs().handler
    if handler.target_object is None:
        failure = handler.describe().get("error", {}).get("gpuhub_error", {})
        raise RuntimeError(f"the code could not be loaded:\n{failure.get('traceback', '')}")
    app = handler.target_object()
    if inspect.isawaitable(app):
        app = _awaited(app)
    if not callable(app):
        name = handler.target.qualname
        raise TypeError(f"{name}() must give an ASGI application, not {type(app).__name__}")
    return app


def _awaited(value: Any) -> Any:
    """Wait on a thread: Modal's own loop runs on this one."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    async def wait() -> Any:
        return await value

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, wait()).result()
