"""What Beam's runners find in the container: the user's function behind three handlers.

The runners (``beta9.runner``, 0.1.291) import this module from the root of the uploaded archive and
take one of its objects: ``call`` for requests, ``task`` for the queue, ``app`` for an ASGI server,
``scheduled`` for runs by themselves.
Each is an object with ``func``, whose signature and kind the runner reads, and with
``parent.retry_for``, without which its queue dies of a function that raises.

* Functions that are not async run on a thread, so that the container answers the gateway's health
  checks meanwhile: one that does not is taken out of the rotation until the next look.
* A run that is too long is answered just before the gateway would give up, whose own answer looks
  like a lost container. What cannot be stopped otherwise is ended with its process: gunicorn starts
  another.
* The queue gets its result as text: the gateway writes numbers anew, and the runner drops what
  is false.

Standard library and gpuhub's worker; Starlette, which Beam's images have, where an ASGI server is
asked for. Python 3.9 or newer.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

FOLDER = Path(__file__).resolve().parent
if (FOLDER / "runtime").is_dir():
    sys.path.insert(0, str(FOLDER / "runtime"))

from gpuhub.worker.load import load_bundle  # noqa: E402 - the archive brings it
from gpuhub.worker.wire import ERROR, dumps, error_envelope, loads  # noqa: E402

if TYPE_CHECKING:
    from gpuhub.worker.handler import Handler

__all__ = ["RESULT_LIMIT", "Runs"]

RESULT_LIMIT = 7_000_000
"""Bytes of a queue's result that fit into its message of 16 MiB, quoted as text."""

_MARGIN_S = 0.5
_EXIT_AFTER_S = 0.5

Envelope = dict[str, Any]


def _prepare_environment() -> None:
    """Give secrets the names that were asked for, and make paths that lead into buckets."""
    for name, secret in json.loads(os.environ.get("GPUHUB_SECRETS", "{}")).items():
        if secret in os.environ:
            os.environ[name] = os.environ[secret]
    for path, target in json.loads(os.environ.get("GPUHUB_LINKS", "{}")).items():
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to(target, target_is_directory=True)


class TooLarge(ValueError):  # noqa: N818 - says what happened
    """A result that Beam's queue does not carry."""


class RunFailed(RuntimeError):  # noqa: N818 - says what happened
    """A run by schedule whose function raised; its text is the traceback."""


class Runs:
    """Runs of the user's function: again when they raise and it is asked for, never too long.

    Args:
        handler: gpuhub's.
        timeout: Seconds of one run.
        retries: Times a run that raised is repeated.
        limit: Seconds of all of them, as the gateway counts; 0: no limit.
        concurrency: Runs at a time.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        timeout: float,
        retries: int = 0,
        limit: float = 0,
        concurrency: int = 1,
    ) -> None:
        self.handler = handler
        self.timeout = min(timeout, limit) if limit else timeout
        self.retries = retries
        self._pool = ThreadPoolExecutor(max(1, concurrency), "gpuhub")

    def blocking(self, arguments: Mapping[str, Any]) -> Envelope:
        """Run on this thread; the queue's own monitor watches the time."""
        envelope = self.handler.invoke(arguments)
        for _ in range(self.retries):
            if ERROR not in envelope:
                break
            envelope = self.handler.invoke(arguments)
        return envelope

    async def waited(self, arguments: Mapping[str, Any]) -> Envelope:
        """Run beside the loop, each run within its time."""
        envelope = await self._one(arguments)
        for _ in range(self.retries):
            if ERROR not in envelope:
                break
            envelope = await self._one(arguments)
        return _json_safe(envelope)

    async def _one(self, arguments: Mapping[str, Any]) -> Envelope:
        seconds = max(self.timeout - _MARGIN_S, self.timeout / 2)
        if self.handler.target.is_async:
            return await _within(seconds, self.handler.invoke_async(arguments), self.timeout)
        loop = asyncio.get_running_loop()
        # With the context: the runner's log takes the task's id from there.
        context = contextvars.copy_context()
        run = loop.run_in_executor(self._pool, context.run, self.handler.invoke, arguments)
        done, _ = await asyncio.wait([run], timeout=seconds)
        if done:
            return run.result()
        _end_process_soon()  # a thread cannot be stopped
        return _too_long(self.timeout)

    async def items(self, arguments: Mapping[str, Any]) -> AsyncIterator[Envelope]:
        """Run a generator, and yield as it goes."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + max(self.timeout - _MARGIN_S, self.timeout / 2)
        stream = self.handler.stream_async(arguments)
        step: asyncio.Future[Envelope] | None = None
        try:
            while True:
                step = asyncio.ensure_future(stream.__anext__())
                done, _ = await asyncio.wait([step], timeout=max(0.0, ends - loop.time()))
                if not done:
                    yield _too_long(self.timeout)
                    return
                try:
                    envelope = step.result()
                except StopAsyncIteration:
                    return
                yield _json_safe(envelope)
        finally:
            if step is not None and not step.done():
                step.cancel()
                await asyncio.wait([step])
            await stream.aclose()  # type: ignore[attr-defined]


async def _within(seconds: float, run: Awaitable[Envelope], limit: float) -> Envelope:
    try:
        return await asyncio.wait_for(run, seconds)
    except TimeoutError:
        return _too_long(limit)


def _too_long(seconds: float) -> Envelope:
    print(f"gpuhub: the call ran longer than its timeout of {seconds:g} s")  # noqa: T201 - the log
    return {"gpuhub_timeout": {"seconds": seconds}}


def _end_process_soon() -> None:
    threading.Timer(_EXIT_AFTER_S, os._exit, [1]).start()


def _json_safe(envelope: Envelope) -> Envelope:
    """Give an error for what JSON cannot hold: the runner would answer with its own."""
    try:
        dumps(envelope)
    except ValueError as error:
        return error_envelope(error)
    return envelope


def _as_text(envelope: Envelope) -> dict[str, str]:
    """Give a queue's result: text, true, and not too large."""
    text = dumps(_json_safe(envelope))
    if len(text) > RESULT_LIMIT:
        message = (
            f"the result has {len(text):,} bytes, and Beam's queue carries at most"
            f" {RESULT_LIMIT:,}; return a reference, or set payload_store in gpuhub.toml"
        )
        text = dumps(error_envelope(TooLarge(message)))
    return {"gpuhub": text.decode("utf-8")}


def _arguments(gpuhub_call: Any, plain: dict[str, Any]) -> dict[str, Any]:
    """Give the arguments: gpuhub's client sends them as text, others as they are."""
    if gpuhub_call is None:
        return plain
    found = loads(gpuhub_call)
    return dict(found) if isinstance(found, dict) else {}


class _Entry:
    """What a runner takes for a decorated function of Beam's SDK.

    Args:
        func: Called by the runner; its signature says that no context is wanted.
    """

    parent = SimpleNamespace(retry_for=[])

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do as the function does."""
        return self.func(*args, **kwargs)


# -------------------------------------------------------------------------------- ASGI server


def _health(_request: Any) -> Any:
    from starlette.responses import Response

    return Response(status_code=200)


def _served(inner: Any) -> Any:
    """Give what Beam's runner wants: a Starlette application with ``/health``."""
    from starlette.applications import Starlette
    from starlette.routing import Mount, Route

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        async with _Lifespan(inner):
            yield

    # First: the runner adds its own route at the end, behind everything that is mounted.
    routes = [Route("/health", _health), Mount("/", app=inner)]
    return Starlette(routes=routes, lifespan=lifespan)


class _Lifespan:
    """The start and end of an application that is mounted in another: Starlette runs neither."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._incoming: asyncio.Queue[Any] = asyncio.Queue()
        self._outgoing: asyncio.Queue[Any] = asyncio.Queue()

    async def __aenter__(self) -> None:
        self._task = asyncio.ensure_future(self._run())
        await self._incoming.put({"type": "lifespan.startup"})
        answer = await self._outgoing.get()
        if answer is not None and answer["type"] == "lifespan.startup.failed":
            raise RuntimeError(f"the application did not start: {answer.get('message', '')}")

    async def __aexit__(self, *exception: object) -> None:
        if self._task.done():
            return
        await self._incoming.put({"type": "lifespan.shutdown"})
        await asyncio.wait([self._task], timeout=2.0)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        try:
            # An application without lifespan raises whatever it likes.
            with suppress(Exception):
                await self._app(scope, self._incoming.get, self._outgoing.put)
        finally:
            await self._outgoing.put(None)


def _calls_app(runs: Runs) -> Any:
    """Make the ASGI application that takes several calls at once."""
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response, StreamingResponse

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        try:
            body = loads(await Request(scope, receive).body() or b"{}")
            kwargs = body.get("kwargs") if isinstance(body.get("kwargs"), dict) else body
            webhook = kwargs.pop("callback_url", None) if "gpuhub_call" in kwargs else None
            arguments = _arguments(kwargs.pop("gpuhub_call", None), kwargs)
        except (ValueError, AttributeError):
            await JSONResponse({"error": "invalid request payload"}, 400)(scope, receive, send)
            return
        if runs.handler.target.kind == "generator":
            answer: Any = StreamingResponse(_events(runs.items(arguments)), media_type="text/plain")
        else:
            envelope = await runs.waited(arguments)
            _tell_runner(scope, envelope, webhook)
            answer = Response(dumps(envelope), media_type="application/json")
        await answer(scope, receive, send)

    return application


async def _events(items: AsyncIterator[Envelope]) -> AsyncIterator[bytes]:
    async for envelope in items:
        yield b"data: " + dumps(envelope) + b"\n\n"


def _tell_runner(scope: Any, envelope: Envelope, webhook: str | None) -> None:
    """Let the runner's middleware call the webhook with the result, as it does for requests."""
    facts = (scope.get("state") or {}).get("task_lifecycle_data")
    if facts is not None:
        facts.result = envelope
        facts.override_callback_url = webhook


# ----------------------------------------------------------------------------------- handlers


def _number(name: str, default: str) -> float:
    return float(os.environ.get(name) or default)


def _make(folder: Path) -> tuple[_Entry, _Entry, _Entry, _Entry]:
    """Load the bundle, once for each process, and make the handlers."""
    _prepare_environment()
    handler = load_bundle(folder)
    if not (handler.target.is_async or handler.target.kind == "web"):
        handler.prepare()
    runs = Runs(
        handler,
        timeout=_number("GPUHUB_TIMEOUT", "300"),
        retries=int(_number("GPUHUB_RETRIES", "0")),
        limit=_number("TIMEOUT", "0"),
        concurrency=int(_number("GPUHUB_CONCURRENCY", "1")),
    )

    async def call(
        gpuhub_call: str | None = None, callback_url: str | None = None, **plain: Any
    ) -> Any:
        arguments = _arguments(gpuhub_call, _with_url(gpuhub_call, callback_url, plain))
        if handler.target.kind == "generator":
            return runs.items(arguments)
        return await runs.waited(arguments)

    def task(
        gpuhub_call: str | None = None, callback_url: str | None = None, **plain: Any
    ) -> dict[str, str]:
        arguments = _arguments(gpuhub_call, _with_url(gpuhub_call, callback_url, plain))
        return _as_text(runs.blocking(arguments))

    def scheduled() -> None:
        envelope = runs.blocking({})
        if ERROR in envelope:  # nobody reads a result: the log and the task's state tell
            raise RunFailed(envelope[ERROR]["traceback"])

    def app() -> Any:
        inner = _web_app(handler) if handler.target.kind == "web" else _calls_app(runs)
        return _served(inner)

    return _Entry(call), _Entry(task), _Entry(app), _Entry(scheduled)


def _with_url(gpuhub_call: Any, callback_url: str | None, plain: dict[str, Any]) -> dict[str, Any]:
    """Give a plain caller's ``callback_url`` back: the function may have such a parameter."""
    if gpuhub_call is None and callback_url is not None:
        return {**plain, "callback_url": callback_url}
    return plain


def _web_app(handler: Handler) -> Any:
    """Make the user's application; one that cannot be made ends the container, with its reason."""
    if handler.target_object is None:
        failure = handler.describe().get("error", {}).get(ERROR, {})
        raise RuntimeError(f"the code could not be loaded:\n{failure.get('traceback', '')}")
    inner = handler.target_object()
    if inspect.isawaitable(inner):
        inner = asyncio.run(_awaited(inner))
    if not callable(inner):
        name = handler.target.qualname
        raise TypeError(f"{name}() must give an ASGI application, not {type(inner).__name__}")
    return inner


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


if (FOLDER / "manifest.json").is_file():
    call, task, app, scheduled = _make(FOLDER)
