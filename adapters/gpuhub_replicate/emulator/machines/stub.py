"""A quick worker: runs a Cog runner as Cog's own server does, without its HTTP.

It loads ``COG_PREDICT_TYPE_STUB``, calls ``setup`` and takes predictions over a socket, one JSON
document a line. Standard library only: it runs in the worker's process.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import ctypes
import functools
import importlib.util
import inspect
import io
import json
import os
import queue
import socket
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cog
from cog import conversion

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method: Any) -> Any:
        """Mark nothing: a worker has the standard library only."""
        return method


_current: contextvars.ContextVar[str] = contextvars.ContextVar("prediction", default="")


class Channel:
    """The way to the emulator."""

    def __init__(self, channel: socket.socket) -> None:
        self._socket = channel
        self._lock = threading.Lock()

    def send(self, **message: Any) -> None:
        """Tell something."""
        line = json.dumps(message).encode() + b"\n"
        with self._lock:
            self._socket.sendall(line)

    def orders(self) -> Iterator[dict[str, Any]]:
        """Give what is ordered, until the emulator leaves."""
        with self._socket.makefile("rb") as lines:
            for line in lines:
                yield json.loads(line)


class Output(io.TextIOBase):
    """Standard output whose lines become the logs of the prediction that prints."""

    encoding = "utf-8"

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._pending: dict[str, str] = {}

    @override
    def writable(self) -> bool:
        """Whether it can be written to."""
        return True

    @override
    def write(self, text: str) -> int:
        """Tell whole lines, keep the rest."""
        name = _current.get()
        with self._lock:
            pending = self._pending.pop(name, "") + text
            whole, mark, rest = pending.rpartition("\n")
            if rest:
                self._pending[name] = rest
        if mark:
            self._channel.send(logs=name, text=whole + mark)
        return len(text)

    def finish(self) -> None:
        """Tell what is left of the current prediction."""
        name = _current.get()
        with self._lock:
            rest = self._pending.pop(name, "")
        if rest:
            self._channel.send(logs=name, text=rest)


class Worker:
    """One runner and what it is asked.

    Args:
        channel: The way to the emulator.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._output = Output(channel)
        self._orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread = 0
        self._running = ""
        self._cancelled: set[str] = set()
        self._method: Callable[..., Any] = lambda: None

    def run(self) -> None:
        """Work until the emulator leaves."""
        sys.stdout = sys.stderr = self._output
        try:
            runner = _load(os.environ["COG_PREDICT_TYPE_STUB"])
            self._method = _method_of(runner)
            if _is_async(self._method):
                asyncio.run(self._work_on_loop(runner))
            else:
                self._work(runner)
        except _SetupFailed as failed:
            self._output.finish()
            self._channel.send(setup_failed=str(failed))

    # Runners that are plain functions or generators: one prediction at a time, on one thread

    def _work(self, runner: Any) -> None:
        setup = _setup_of(runner)
        if setup is not None:
            _set_up(lambda: asyncio.run(setup()) if _is_async(setup) else setup())
        self._ready()
        threading.Thread(target=self._perform_all, daemon=True).start()
        for order in self._channel.orders():
            if "run" in order:
                self._orders.put(order)
            else:
                self._cancel(order["cancel"])
        os._exit(0)  # whatever still runs

    def _perform_all(self) -> None:
        self._thread = threading.get_ident()
        while True:
            order = self._orders.get()
            self._perform(order["run"], order["input"])

    def _cancel(self, name: str) -> None:
        """Have the code raise, once Python comes to it: a long wait in C ends first, as in Cog."""
        with self._lock:
            self._cancelled.add(name)
            if name == self._running:
                _raise_in(self._thread, cog.CancelationException)

    def _begin(self, name: str) -> None:
        with self._lock:
            if name in self._cancelled:
                raise cog.CancelationException
            self._running = name

    def _stop(self) -> None:
        with self._lock:
            self._running = ""
            _raise_in(self._thread, None)

    def _perform(self, name: str, inputs: dict[str, Any]) -> None:
        _current.set(name)
        words = "Prediction failed: "
        ended: dict[str, Any]
        try:
            try:
                self._begin(name)
                output = self._method(**conversion.arguments(self._method, inputs))
                if inspect.isgenerator(output):
                    words = "Generator iteration error: "
                    for item in output:
                        self._channel.send(item=name, value=conversion.encoded(item))
                    output = []
                ended = {"status": "succeeded", "output": conversion.encoded(output)}
            except cog.CancelationException:
                raise
            except BaseException as error:  # noqa: BLE001 - the user's
                ended = {"status": "failed", "error": words + _words(error)}
            self._stop()
        except cog.CancelationException:  # out of the user's code, or just after it
            self._stop()
            ended = {"status": "canceled"}
        self._done(name, **ended)
        _current.set("")

    # Coroutines and asynchronous generators: as many as come

    async def _work_on_loop(self, runner: Any) -> None:
        setup = _setup_of(runner)
        if setup is not None:
            await _set_up_on_loop(setup)
        self._ready()
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        def listen() -> None:
            for order in self._channel.orders():
                loop.call_soon_threadsafe(arrived.put_nowait, order)
            os._exit(0)  # whatever still runs

        threading.Thread(target=listen, daemon=True).start()
        tasks: dict[str, asyncio.Task[None]] = {}
        while True:
            order = await arrived.get()
            if "run" in order:
                name = order["run"]
                task = asyncio.create_task(self._perform_on_loop(name, order["input"]))
                tasks[name] = task
                task.add_done_callback(functools.partial(_forget, tasks, name))
            elif (running := tasks.get(order["cancel"])) is not None:
                running.cancel()

    async def _perform_on_loop(self, name: str, inputs: dict[str, Any]) -> None:
        _current.set(name)
        try:
            called = self._method(**conversion.arguments(self._method, inputs))
            if isinstance(called, AsyncIterator):
                async with contextlib.aclosing(called) as items:  # type: ignore[type-var]
                    async for item in items:
                        self._channel.send(item=name, value=conversion.encoded(item))
                output: Any = []
            else:
                output = conversion.encoded(await called)
            self._done(name, "succeeded", output)
        except (asyncio.CancelledError, cog.CancelationException):
            self._done(name, "canceled")
        except Exception as error:  # noqa: BLE001 - the user's
            self._done(name, "failed", error="Prediction failed: " + _words(error))

    def _ready(self) -> None:
        self._output.finish()
        self._channel.send(ready=True)

    def _done(self, name: str, status: str, output: Any = None, error: str | None = None) -> None:
        self._output.finish()
        error = f"Prediction failed: {error}" if error is not None else None
        self._channel.send(done=name, status=status, output=output, error=error)


class _SetupFailed(Exception):  # noqa: N818 - it is a message
    """The runner cannot work; in the words of its traceback."""


def serve(channel: socket.socket) -> None:
    """Be a worker on this channel."""
    Worker(Channel(channel)).run()


def _forget(tasks: dict[str, asyncio.Task[None]], name: str, _: object) -> None:
    tasks.pop(name, None)


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Have a thread raise an exception, or take back one that it has not raised yet."""
    raised = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)


def _load(reference: str) -> Any:
    """Load ``file.py:Name`` and make the runner."""
    path, _, name = reference.partition(":")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise _SetupFailed(f"cannot load {path}\n")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        found = getattr(module, name)
        return found() if inspect.isclass(found) else found
    except Exception:  # noqa: BLE001 - the user's
        raise _SetupFailed(traceback.format_exc()) from None


def _method_of(runner: Any) -> Callable[..., Any]:
    for name in ("run", "predict"):
        own = getattr(type(runner), name, None)
        if own is not None and own is not getattr(cog.BaseRunner, name, None):
            return getattr(runner, name)  # type: ignore[no-any-return]
    if callable(runner):
        return runner  # type: ignore[no-any-return]
    raise _SetupFailed(f"run or predict method not found: {type(runner).__name__}\n")


def _setup_of(runner: Any) -> Callable[[], Any] | None:
    return getattr(runner, "setup", None)


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _set_up(setup: Callable[[], Any]) -> None:
    try:
        setup()
    except Exception:  # noqa: BLE001 - the user's
        raise _SetupFailed(traceback.format_exc()) from None


async def _set_up_on_loop(setup: Callable[[], Any]) -> None:
    try:
        done = setup()
        if inspect.isawaitable(done):
            await done
    except Exception:  # noqa: BLE001 - the user's
        raise _SetupFailed(traceback.format_exc()) from None


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
