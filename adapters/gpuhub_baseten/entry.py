"""What runs in a Baseten replica: the user's function, for the model class that Truss loads.

Truss answers an exception of the model with "Internal Server Error" and no further word, and has no
time limit for a call. So the function's errors travel in gpuhub's envelopes, and the time limit is
kept here: an async function is cancelled at its end; in the thread of any other an exception is
raised, which takes effect when Python code runs there. A replica whose slots are all held by code
that does not stop says that it is unhealthy, and Baseten starts another.

Standard library and gpuhub's worker only; Python 3.9 or newer.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gpuhub.worker.handler import Handler
from gpuhub.worker.load import load_bundle
from gpuhub.worker.loop import LoopThread
from gpuhub.worker.server import WorkerServer
from gpuhub.worker.wire import envelope_bytes, error_envelope, loads

__all__ = ["FACTS", "KEPT", "CallTimedOut", "Worker", "main", "restored"]

FACTS = "worker.json"
"""What the worker is told beside its code: timeout, concurrency, secrets."""
KEPT = ".kept"
"""Ends names that Truss would leave out of the image."""
_LOOK_S = 0.5
_GRACE_S = 30.0
_SECRETS = Path("/secrets")

IsGone = Callable[[], Awaitable[bool]]


class CallTimedOut(Exception):  # noqa: N818 - says what happened
    """The call ran longer than the function's ``timeout``."""


CallTimedOut.__module__ = "gpuhub"


class CallerGone(Exception):  # noqa: N818 - says what happened
    """Nobody waits for this call any more."""


class Worker:
    """The function of an unpacked bundle, loaded once, called any number of times.

    Args:
        folder: The bundle.
        secrets: Baseten's secrets by name, with ``[]``; a missing one raises its own error.
    """

    def __init__(self, folder: Path, secrets: Any) -> None:
        facts = json.loads(Path(folder, FACTS).read_text("utf-8"))
        for variable, name in facts["secrets"].items():
            os.environ[variable] = str(secrets[name])
        self.timeout_s = float(facts["timeout_s"])
        self.concurrency = int(facts["concurrency"])
        self._folder = restored(Path(folder))
        self._loop = LoopThread()
        self._pool = ThreadPoolExecutor(self.concurrency, "gpuhub")
        self._stuck: set[_OnThread] = set()
        self._handler: Handler | None = None

    @property
    def handler(self) -> Handler:
        """The loaded function."""
        if self._handler is None:
            raise RuntimeError("the worker has not loaded yet")
        return self._handler

    def load(self) -> None:
        """Import the code and run ``setup()``.

        Raises:
            RuntimeError: That failed. Baseten keeps the deployment before this one then, and
                shows the traceback in its log.
        """
        handler = load_bundle(self._folder)
        if handler.target.is_async:
            self._loop.run(handler.prepare_async())
        else:
            handler.prepare()
        described = handler.describe()
        if described["status"] == "failed":
            problem = described["error"]["gpuhub_error"]
            raise RuntimeError(f"the function could not be loaded:\n{problem['traceback']}")
        self._handler = handler

    def is_healthy(self) -> bool:
        """Whether a slot is left that is not held by a call that should have stopped."""
        late = [call for call in list(self._stuck) if call.is_late()]
        return len(late) < self.concurrency

    async def answer(self, body: bytes, is_gone: IsGone) -> bytes:
        """Run one call and give its envelope.

        Args:
            body: JSON object of named arguments.
            is_gone: Whether the caller has left.
        """
        try:
            arguments = _arguments(body)
        except ValueError as error:
            return envelope_bytes(error_envelope(error))
        running = self._started(arguments)
        ends = time.monotonic() + self.timeout_s
        try:
            return envelope_bytes(await self._ended(running, ends, is_gone))
        except asyncio.CancelledError:
            running.stop(CallerGone())
            raise

    async def stream(self, body: bytes, is_gone: IsGone) -> AsyncIterator[bytes]:
        """Run one call of a generator and give its envelopes, a line each.

        The first line is empty: it tells a stream from a single answer, from the first byte on.
        """
        yield b"\n"
        ends = time.monotonic() + self.timeout_s
        try:
            items = self._items(_arguments(body))
        except ValueError as error:
            yield envelope_bytes(error_envelope(error)) + b"\n"
            return
        step: _OnThread | None = None
        thread = ThreadPoolExecutor(1, "gpuhub-stream")  # one for all: libraries keep state by it
        try:
            while True:
                step = _OnThread(thread, lambda: next(items, None))
                envelope = await self._ended(step, ends, is_gone)
                if envelope is None:
                    return
                yield envelope_bytes(envelope) + b"\n"
                if "gpuhub_error" in envelope:
                    return
        finally:
            if step is not None and not step.done:
                step.stop(CallerGone())
            thread.submit(_close, items)
            thread.shutdown(wait=False)

    @property
    def is_generator(self) -> bool:
        """Whether calls are answered as streams."""
        return self.handler.target.kind == "generator"

    def _started(self, arguments: Mapping[str, Any]) -> _Running:
        handler = self.handler
        if handler.target.is_async:
            return _OnLoop(self._loop, handler.invoke_async(arguments))
        return _OnThread(self._pool, lambda: handler.invoke(arguments))

    def _items(self, arguments: Mapping[str, Any]) -> Iterator[Any]:
        if self.handler.target.is_async:
            return self._loop.iterate(self.handler.stream_async(arguments))
        return self.handler.stream(arguments)

    async def _ended(self, running: _Running, ends: float, is_gone: IsGone) -> Any:
        """Wait for the end of a call; stop it at the time limit or when nobody waits."""
        waiting = asyncio.wrap_future(running.future)
        while True:
            left = ends - time.monotonic()
            done, _ = await asyncio.wait({waiting}, timeout=max(0.0, min(left, _LOOK_S)))
            if done:
                return waiting.result()
            reason: Exception | None = None
            if time.monotonic() >= ends:
                reason = CallTimedOut(f"it ran longer than its timeout of {self.timeout_s:g} s")
            elif await is_gone():
                reason = CallerGone("the caller closed the connection")
            if reason is not None:
                waiting.add_done_callback(_forget)
                running.stop(reason)
                if isinstance(running, _OnThread) and not running.done:
                    self._stuck.add(running)
                    running.future.add_done_callback(lambda _: self._stuck.discard(running))
                return error_envelope(reason)


class _Running:
    """A call under way."""

    future: Future[Any]

    @property
    def done(self) -> bool:
        return self.future.done()

    def stop(self, reason: Exception) -> None:
        raise NotImplementedError


class _OnLoop(_Running):
    """A coroutine on the worker's own loop."""

    def __init__(self, loop: LoopThread, coroutine: Any) -> None:
        self.future = asyncio.run_coroutine_threadsafe(coroutine, loop.loop())

    def stop(  # type: ignore[explicit-override]  # Python 3.9 has no such decorator
        self,
        reason: Exception,  # noqa: ARG002 - a cancelled task gets its own
    ) -> None:
        self.future.cancel()


class _OnThread(_Running):
    """A blocking function on a thread, where an exception can be raised from outside."""

    def __init__(self, pool: ThreadPoolExecutor, function: Callable[[], Any]) -> None:
        self._function = function
        self._thread: int | None = None
        self._stopped_at: float | None = None
        self._reason: Exception | None = None
        self._lock = threading.Lock()
        self.future = pool.submit(self._run)

    def is_late(self) -> bool:
        """Whether it still runs some time after it was told to stop."""
        stopped = self._stopped_at
        return not self.done and stopped is not None and time.monotonic() - stopped > _GRACE_S

    def stop(  # type: ignore[explicit-override]  # Python 3.9 has no such decorator
        self, reason: Exception
    ) -> None:
        if self.future.cancel():  # it had not begun
            return
        with self._lock:
            self._stopped_at = time.monotonic()
            self._reason = reason
            if self._thread is not None:
                _raise_in(self._thread, type(reason))

    def _run(self) -> Any:
        with self._lock:
            if self._reason is not None:  # told to stop in the moment it began
                raise self._reason
            self._thread = threading.get_ident()
        try:
            return self._function()
        finally:
            while True:  # it may be told to stop just here: the thread's next call is another one
                try:
                    with self._lock:
                        self._thread = None
                    break
                except (CallTimedOut, CallerGone):
                    pass
            _raise_in(threading.get_ident(), None)


def _raise_in(thread: int, kind: type[Exception] | None) -> None:
    """Have a thread raise an exception, or take back one that it has not raised yet."""
    raised = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)


def _forget(future: asyncio.Future[Any]) -> None:
    """Take the outcome of a call that nobody waits for, so that the loop does not complain."""
    if not future.cancelled():
        future.exception()


def _close(items: Any) -> None:
    try:
        items.close()
    except ValueError:
        return  # it runs at this moment, and ends by what was raised in it


def _arguments(body: bytes) -> dict[str, Any]:
    arguments = loads(body or b"{}")
    if not isinstance(arguments, dict):
        kind = type(arguments).__name__
        raise ValueError(f"the body must be a JSON object of named arguments, not {kind}")  # noqa: TRY004
    return arguments


def restored(folder: Path) -> Path:
    """Give a bundle under its own names: where some were changed for Truss, a copy."""
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    if not any(part.endswith(KEPT) for path in paths for part in path.parts):
        return folder
    fresh = Path(tempfile.mkdtemp(prefix="gpuhub-"))
    for path in paths:
        parts = [part.removesuffix(KEPT) for part in path.parts]
        place = fresh.joinpath(*parts)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((folder / path).read_bytes())
    return fresh


# -------------------------------------------------------------------------- web applications


class _Mounted:
    """Baseten's secrets as it puts them into a container: a file each, or a variable."""

    def __getitem__(self, name: str) -> str:
        if (value := os.environ.get(f"TRUSS_SECRET_{name}")) is not None:
            return value
        try:
            return (_SECRETS / name).read_text("utf-8")
        except OSError:
            raise KeyError(
                f"Baseten has no secret {name!r}: make it in the workspace's settings, and deploy"
                " again"
            ) from None


def main(folder: Path, port: int) -> None:
    """Serve a web application until the container is stopped."""
    worker = Worker(folder, _Mounted())
    server = WorkerServer("127.0.0.1", port, concurrency=worker.concurrency)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    server.start()
    worker.load()
    server.load(worker.handler)
    stopping.wait()
    server.stop()
