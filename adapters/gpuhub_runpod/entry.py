"""What runs in a RunPod worker: the user's function behind RunPod's own worker loop.

RunPod's loop waits a second whenever its worker is full, so a worker with one slot does one job a
second, however short it is. Here it holds more jobs while they are short, and a limit of our own
keeps the user's concurrency. While jobs are long it holds no more than it runs: what it holds in
vain no other worker can take, and RunPod's time limit for the job runs.

Standard library, gpuhub's worker and RunPod's SDK only; Python 3.9 or newer.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gpuhub.worker.handler import Handler
from gpuhub.worker.load import load_bundle
from gpuhub.worker.server import WorkerServer
from gpuhub.worker.wire import dumps, error_envelope, result_envelope

__all__ = ["EMPTY", "WARM", "Slots", "main", "make_handler"]

EMPTY = {"__empty": True}
"""Stands for no arguments: RunPod drops an empty ``input``."""
WARM = {"__gpuhub_warm": True}
"""A job that only starts the worker."""
SHORT_S = 1.0
"""Jobs up to this long are short: RunPod's loop would add as much."""

_REMEMBERED = 8
_TICK_S = 0.001
_LEAST = 4
"""RunPod's loop counts a job twice for a moment: with fewer it takes itself for full."""
_STEPS = (1, 4, 16, 64)
_FAR_OFF = 16
_RESULT_LIMITS = {"sync": 20_000_000, "async": 10_000_000, "chunk": 1_000_000}
_ROOM = 200
_SECRET = re.compile(r"\{\{\s*RUNPOD_SECRET_(.+?)\s*\}\}")

Envelope = dict[str, Any]


def main(folder: Path) -> None:
    """Serve an unpacked bundle until the worker is stopped."""
    handler = load_bundle(folder)
    missing = sorted({match[1] for match in map(_SECRET.fullmatch, os.environ.values()) if match})
    if missing:
        handler = Handler.failed(handler.target, _no_secret(missing))
    concurrency = int(os.environ.get("GPUHUB_CONCURRENCY", "1"))
    if handler.target.kind == "web":
        _serve_web(handler, concurrency)
        return
    if not handler.target.is_async:
        handler.prepare()
    prefetch = int(os.environ.get("GPUHUB_PREFETCH", "100"))
    slots = Slots(concurrency, prefetch)
    import runpod

    runpod.serverless.start(
        {"handler": make_handler(handler, slots), "concurrency_modifier": slots.wanted}
    )


class Slots:
    """How many jobs run at once, and how many the worker holds.

    RunPod's loop gives a worker at most as many jobs a second as it may hold. So it holds what it
    ends in a second, as the last jobs went, in coarse steps: the loop lets a worker run empty
    before it changes the number.

    Args:
        concurrency: Jobs that run at once.
        prefetch: Most jobs the worker holds, if more than run; 1: never more.
        clock: Gives seconds.
    """

    def __init__(
        self, concurrency: int, prefetch: int = 100, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.concurrency = concurrency
        most = concurrency if prefetch == 1 else max(prefetch, concurrency)
        least = max(_LEAST, 2 * concurrency)
        self._levels = [min(most, least * step) for step in _STEPS]
        self._held = concurrency
        self._clock = clock
        self._recent: deque[float] = deque(maxlen=_REMEMBERED)
        self._running: dict[int, float] = {}
        self._next = 0
        self._lock = threading.Lock()

    def wanted(self, _current: int = 1) -> int:
        """Give the number of jobs to hold; RunPod's loop asks before it fetches."""
        with self._lock:
            now = self._clock()
            running = [now - begun for begun in self._running.values()]
            longest = max([*self._recent, *running], default=None)
            if not self._recent or longest is None or longest > SHORT_S:
                self._held = self.concurrency
            else:
                self._held = self._chosen(self.concurrency * SHORT_S / max(longest, _TICK_S))
            return self._held

    def _chosen(self, ended: float) -> int:
        """Give the level for so many jobs a second; the present one unless it is far off."""
        if self._held > self.concurrency and ended <= self._held <= _FAR_OFF * ended:
            return self._held
        return next((level for level in self._levels if level >= ended), self._levels[-1])

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Remember how long a job runs."""
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._running[number] = self._clock()
        try:
            yield
        finally:
            with self._lock:
                self._recent.append(self._clock() - self._running.pop(number))


def make_handler(handler: Handler, slots: Slots) -> Callable[[dict[str, Any]], Any]:
    """Give RunPod's handler: a coroutine function, or an async generator for a generator."""
    if handler.target.kind == "generator":
        return _streaming(handler, slots)
    if handler.target.is_async:
        gate = _Gate(slots)

        async def run(arguments: Mapping[str, Any]) -> Envelope:
            async with gate.opened():
                with slots.timed():
                    return await handler.invoke_async(arguments)
    else:
        # Its threads are the limit: a cancelled job keeps one until the user's code returns.
        pool = ThreadPoolExecutor(slots.concurrency, "gpuhub")

        def blocking(arguments: Mapping[str, Any]) -> Envelope:
            with slots.timed():
                return handler.invoke(arguments)

        async def run(arguments: Mapping[str, Any]) -> Envelope:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(pool, blocking, arguments)

    async def handle(job: dict[str, Any]) -> Envelope:
        return await _answer(job, run)

    return handle


async def _answer(
    job: Mapping[str, Any], run: Callable[[Mapping[str, Any]], Awaitable[Envelope]]
) -> Envelope:
    arguments = _arguments(job)
    if arguments is None:
        return result_envelope(None)
    envelope = await run(arguments)
    kind = "sync" if str(job.get("id", "")).startswith("sync-") else "async"
    return _carried(envelope, kind)


def _streaming(handler: Handler, slots: Slots) -> Callable[[dict[str, Any]], Any]:
    gate = _Gate(slots)

    async def handle(job: dict[str, Any]) -> AsyncIterator[Envelope]:
        arguments = _arguments(job)
        if arguments is None:
            return
        async with gate.opened():
            with slots.timed():
                async for envelope in handler.stream_async(arguments):
                    carried = _carried(envelope, "chunk")
                    yield carried
                    if carried is not envelope:
                        return

    return handle


class _Gate:
    """A semaphore that belongs to the loop that uses it first: Python 3.9 binds it when made."""

    def __init__(self, slots: Slots) -> None:
        self._size = slots.concurrency
        self._semaphore: asyncio.Semaphore | None = None

    def opened(self) -> asyncio.Semaphore:
        if self._semaphore is None:
            self._semaphore = asyncio.Semaphore(self._size)
        return self._semaphore


def _arguments(job: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the arguments of a job; ``None`` when it is only there to start the worker."""
    given = job.get("input") or {}
    if given == WARM:
        return None
    return {} if given == EMPTY else given


def _carried(envelope: Envelope, kind: str) -> Envelope:
    """Give an error for what RunPod would drop: it loses results above its limit in silence."""
    limit = _RESULT_LIMITS[kind]
    try:
        size = len(dumps(envelope)) + _ROOM
    except ValueError as error:
        return error_envelope(error)
    if size <= limit:
        return envelope
    message = (
        f"the {'item' if kind == 'chunk' else 'result'} has {size:,} bytes, and RunPod carries at"
        f" most {limit:,}; return a reference instead, or set payload_store in gpuhub.toml"
    )
    return error_envelope(ResultTooLarge(message))


class ResultTooLarge(ValueError):  # noqa: N818 - says what happened
    """A result that RunPod does not carry."""


def _no_secret(names: list[str]) -> RuntimeError:
    return RuntimeError(
        f"RunPod has no secret {', '.join(map(repr, names))}: make it in the console under Secrets,"
        " and deploy again"
    )


def _serve_web(handler: Handler, concurrency: int) -> None:
    """Serve a web application on ``PORT``, and its health on ``PORT_HEALTH``."""
    port = int(os.environ.get("PORT", "80"))
    worker = WorkerServer("0.0.0.0", port, concurrency=concurrency)  # noqa: S104 - in a container
    health = _HealthServer(worker, int(os.environ.get("PORT_HEALTH", str(port + 1))))
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    worker.start()
    threading.Thread(target=health.serve_forever, daemon=True).start()
    worker.load(handler)
    stopping.wait()
    health.shutdown()
    worker.stop()


class _HealthServer(ThreadingHTTPServer):
    """Answers RunPod's health checks: 200 ready, 204 starting, 500 failed."""

    daemon_threads = True

    def __init__(self, worker: WorkerServer, port: int) -> None:
        self.worker = worker
        super().__init__(("0.0.0.0", port), _Health)  # noqa: S104 - in a container


class _Health(BaseHTTPRequestHandler):
    server: _HealthServer

    def do_GET(self) -> None:
        """Answer whatever the path is."""
        health = self.server.worker.health()
        status = {"ready": 200, "starting": 204}.get(health["status"], 500)
        body = b"" if status == 204 else json.dumps(health).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(  # type: ignore[explicit-override]  # Python 3.9 has no such decorator
        self,
        format: str,  # noqa: A002 - http.server's name
        *args: Any,
    ) -> None:
        """Leave the log to the user's code."""
