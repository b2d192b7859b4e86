"""The output of an iterator as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.waiting import wait_until
from gpuhub_replicate.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.predictions import Prediction
    from gpuhub_replicate.emulator.site import Site

__all__ = ["stream_events"]

_SSE = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_IDLE = b":408: Request Timeout\n\n"


def stream_events(site: Site, prediction: Prediction, request: Request) -> Answer:
    """Answer with what there is, then with what comes, until it ends or the client leaves.

    Without an event for ``stream_idle_s`` a comment with ``:408`` comes, and the end.
    """

    async def events() -> AsyncIterator[bytes]:
        seen = _resumed(request.headers.get("last-event-id", ""))
        leaving = asyncio.ensure_future(request.receive())

        def has_news() -> bool:
            has_left = leaving.done()
            return has_left or prediction.is_over or len(prediction.output or ()) > seen

        def left(_: object) -> None:
            with site.timeline.lock:
                prediction.changed.fire()

        leaving.add_done_callback(left)
        try:
            while True:
                came = await wait_until(
                    site, prediction.changed, has_news, site.options.stream_idle_s
                )
                if leaving.done():
                    return
                if not came:
                    yield _IDLE
                    return
                with site.timeline.lock:
                    new = list(prediction.output or ())[seen:]
                    is_over = prediction.is_over
                content = b"".join(
                    _event("output", _text(item), seen + number) for number, item in enumerate(new)
                )
                seen += len(new)
                if content:
                    yield content
                if is_over:
                    yield _ending(prediction, seen)
                    return
        finally:
            leaving.cancel()

    return Answer(body=events(), headers=_SSE, content_type="text/event-stream")


def _ending(prediction: Prediction, number: int) -> bytes:
    if prediction.status == "succeeded":
        return _event("done", "{}", number)
    if prediction.status == "failed":
        words = json.dumps({"detail": prediction.error or ""})
        done = _event("done", json.dumps({"reason": "error"}), number + 1)
        return _event("error", words, number) + done
    return _event("done", json.dumps({"reason": "canceled"}), number)


def _event(kind: str, data: str, number: int) -> bytes:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {kind}\nid: {number}:0\n{lines}\n".encode("utf-8", "replace")


def _text(item: Any) -> str:
    return item if isinstance(item, str) else json.dumps(item)


def _resumed(last: str) -> int:
    """Give how many events the client has, by the last one's id."""
    number = last.partition(":")[0]
    return int(number) + 1 if number.isdecimal() else 0
