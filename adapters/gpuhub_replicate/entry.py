"""What Cog runs in the container: the user's function, behind one input and one output of text.

This file is ``run.py`` in every image, always the same: Cog reads inputs and outputs from
annotations of the file, and its types are too few for any Python function. So the arguments travel
as one JSON text, and gpuhub's envelope comes back as one, or as a line for each item of a
generator.

Standard library, Cog and gpuhub's worker only; Python 3.10 or newer.
"""

import asyncio
import ctypes
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from cog import (
    AsyncConcatenateIterator,
    BaseRunner,
    CancelationException,
    ConcatenateIterator,
    Input,
)

_BUNDLE = Path(globals().get("__file__", "run.py")).resolve().parent / "bundle"
sys.path.insert(0, str(_BUNDLE / "runtime"))

from gpuhub.worker.handler import Handler  # noqa: E402 - the path must be set first
from gpuhub.worker.load import load_bundle  # noqa: E402
from gpuhub.worker.wire import envelope_bytes, loads, result_envelope  # noqa: E402

__all__ = ["AsyncRunner", "AsyncStreamRunner", "Runner", "StreamRunner", "TooLong"]

WARM = {"__gpuhub_warm": True}
"""Arguments of a call that only starts a worker."""
_AGAIN_S = 1.0

Envelope = dict[str, Any]


class TooLong(BaseException):
    """A run that its time limit ends. Not an Exception, so that few handlers take it for theirs."""

    def __init__(self) -> None:
        super().__init__(f"gpuhub: the call ran longer than its timeout of {_limit_s():g} s")


def _limit_s() -> float:
    return float(os.environ.get("GPUHUB_TIMEOUT", "0"))


@contextmanager
def _timed() -> Iterator[None]:
    """End what runs in this thread at its time limit; again while it goes on nevertheless.

    Cog runs calls beside the main thread, where signals do not come. What waits inside of a C
    function is ended when that returns.
    """
    if not _limit_s():
        yield
        return
    runner, lock, over = threading.get_ident(), threading.Lock(), threading.Event()

    def watch() -> None:
        wait = _limit_s()
        while not over.wait(wait):
            with lock:
                if not over.is_set():
                    _raise_in(runner, TooLong)
            wait = _AGAIN_S

    try:
        try:
            threading.Thread(target=watch, name="gpuhub-timeout", daemon=True).start()
            yield
        finally:
            while True:  # it may come just here: then the watch would go on for ever
                try:
                    with lock:
                        over.set()
                    break
                except TooLong:
                    pass
            _raise_in(runner, None)
    except TooLong as error:
        raise RuntimeError(str(error)) from None


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Have a thread raise an exception, or take back one that it has not raised yet."""
    raised = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)


def _text(envelope: Envelope) -> str:
    """Give an envelope as text; raise what is no error of the user's code."""
    report = envelope.get("gpuhub_error") or {}
    kind = str(report.get("type", ""))
    if kind.endswith("CancelationException"):
        raise CancelationException
    if kind.rpartition(".")[2] == TooLong.__name__ and report.get("message") == str(TooLong()):
        raise RuntimeError(str(TooLong()))
    return envelope_bytes(envelope).decode()


def _arguments(payload: str) -> Any:
    """Give the arguments; ``None`` for a call that only starts the worker."""
    given = loads(payload or "{}")
    return None if given == WARM else given


class _Loaded(BaseRunner):  # type: ignore[misc]  # not installed where this is checked
    """The user's code, ready to be called."""

    handler: Handler

    def _load(self) -> None:
        self.handler = load_bundle(_BUNDLE)


class Runner(_Loaded):
    """A function that gives its result at once."""

    def setup(self) -> None:
        """Load the code, and make the instance of a class."""
        self._load()
        self.handler.prepare()

    def run(
        self,
        payload: str = Input(description="gpuhub: the named arguments, as one JSON object"),
    ) -> str:
        """Run one call."""
        arguments = _arguments(payload)
        if arguments is None:
            return _text(result_envelope(None))
        with _timed():
            envelope = self.handler.invoke(arguments)
        return _text(envelope)


class StreamRunner(_Loaded):
    """A generator: a line for each item, and a last one that says how many there were."""

    def setup(self) -> None:
        """Load the code, and make the instance of a class."""
        self._load()
        self.handler.prepare()

    def run(
        self,
        payload: str = Input(description="gpuhub: the named arguments, as one JSON object"),
    ) -> ConcatenateIterator[str]:
        """Run one call."""
        arguments = _arguments(payload)
        if arguments is None:
            return
        with _timed():
            for envelope in self.handler.stream(arguments):
                yield _text(envelope) + "\n"


class AsyncRunner(_Loaded):
    """A function that runs beside others: ``async``, or several calls on one worker."""

    async def setup(self) -> None:
        """Load the code, and make the instance of a class."""
        self._load()
        await self.handler.prepare_async()

    async def run(
        self,
        payload: str = Input(description="gpuhub: the named arguments, as one JSON object"),
    ) -> str:
        """Run one call."""
        arguments = _arguments(payload)
        if arguments is None:
            return _text(result_envelope(None))
        async with _timed_async():
            envelope = await self.handler.invoke_async(arguments)
        return _text(envelope)


class AsyncStreamRunner(_Loaded):
    """A generator that runs beside others."""

    async def setup(self) -> None:
        """Load the code, and make the instance of a class."""
        self._load()
        await self.handler.prepare_async()

    async def run(
        self,
        payload: str = Input(description="gpuhub: the named arguments, as one JSON object"),
    ) -> AsyncConcatenateIterator[str]:
        """Run one call."""
        arguments = _arguments(payload)
        if arguments is None:
            return
        async with _timed_async():
            async for envelope in self.handler.stream_async(arguments):
                yield _text(envelope) + "\n"


@asynccontextmanager
async def _timed_async() -> AsyncIterator[None]:
    """Cancel what runs in this task at its time limit."""
    task, rung = asyncio.current_task(), False

    def ring() -> None:
        nonlocal rung
        if task is not None and not task.done():
            rung = True
            task.cancel()

    timer = asyncio.get_running_loop().call_later(_limit_s(), ring) if _limit_s() else None
    try:
        yield
    except asyncio.CancelledError:
        if rung:
            raise RuntimeError(str(TooLong())) from None
        raise
    finally:
        if timer is not None:
            timer.cancel()
