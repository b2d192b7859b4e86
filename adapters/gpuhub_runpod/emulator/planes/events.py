"""The log of a worker as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING

from gpuhub.adapter.reading import rfc3339
from gpuhub_runpod.emulator.problems import Problem
from gpuhub_runpod.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub.testing.emulator.logs import Line, WorkerLog
    from gpuhub_runpod.emulator.endpoints import Endpoint
    from gpuhub_runpod.emulator.site import Site

__all__ = ["log_events"]

_LOOK_S = 0.02
_SSE = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def log_events(site: Site, endpoint: Endpoint, worker_id: str, request: Request) -> Answer:
    """Answer with what is there, then with what comes, until the client or the worker leaves.

    Raises:
        Problem: 400, a query parameter is not as documented.
    """
    log = endpoint.logs[worker_id]
    source = request.query.get("source")
    if source not in (None, "container", "system"):
        raise Problem(400, f"source must be container or system (got {source!r})")
    with site.timeline.lock:
        first = _first(log, request)
        number = log.count

    def wanted(lines: list[Line]) -> bytes:
        return b"".join(_event(line) for line in lines if source in (None, line.source))

    async def events() -> AsyncIterator[bytes]:
        if content := wanted(first):
            yield content
        seen = number
        leaving = asyncio.ensure_future(request.receive())
        try:
            while not leaving.done():
                with site.timeline.lock:
                    lines = log.after(seen)
                    is_over = worker_id not in endpoint.workers
                if lines:
                    seen = lines[-1].number
                    yield wanted(lines)
                elif is_over:
                    return
                await asyncio.wait([leaving], timeout=_LOOK_S)
        finally:
            leaving.cancel()

    return Answer(body=events(), headers=_SSE, content_type="text/event-stream")


def _first(log: WorkerLog, request: Request) -> list[Line]:
    """The lines to begin with: after ``Last-Event-ID``, from ``since``, or the last ``tail``."""
    resumed, since = request.headers.get("last-event-id"), request.query.get("since")
    if resumed:
        moment = _seconds(resumed)
        return [line for line in log.since(moment) if line.at > moment]
    if since:
        return log.since(_seconds(since))
    tail = request.query.get("tail", "100")
    if not tail.isdecimal() or int(tail) > 5000:
        raise Problem(400, f"tail must be within 0 and 5000 (got {tail!r})")
    return log.last(int(tail))


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise Problem(400, f"{text!r} is no RFC 3339 time") from None


def _event(line: Line) -> bytes:
    shown = {"source": line.source, "line": line.text, "ts": rfc3339(line.at)}
    data = json.dumps(shown, ensure_ascii=False)
    return f"id: {shown['ts']}\ndata: {data}\n\n".encode("utf-8", "replace")
