"""What the ASGI front of every emulator does with a request, beside what its provider says."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.recording import RecordedRequest, masked_headers
from gpuhub.testing.emulator.waiting import Pacer
from gpuhub.testing.emulator.web import Answer, drop_connection, send_answer

if TYPE_CHECKING:
    from gpuhub.testing.emulator.faults import Fault
    from gpuhub.testing.emulator.site import EmulatorSite
    from gpuhub.testing.emulator.web import Receive, Request, Send

__all__ = ["finish", "live", "recorded", "small_json"]

_LARGEST_RECORDED = 262_144
_GARBAGE = b"<html><body>Bad gateway</body></html>"


async def live(
    site: EmulatorSite,
    receive: Receive,
    send: Send,
    *,
    leap_s: float = math.inf,
    close: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Let time pass from the server's start to its end: ASGI's ``lifespan``.

    Args:
        site: What all parts share; its loop is the server's.
        receive: Tells of the end.
        send: Told of both.
        leap_s: As :class:`~gpuhub.testing.emulator.waiting.Pacer` takes it.
        close: Called when the server ends.
    """
    await receive()
    site.waker.attach()
    pacer = asyncio.create_task(Pacer(site, leap_s=leap_s).run())
    await send({"type": "lifespan.startup.complete"})
    try:
        await receive()
    finally:
        pacer.cancel()
        if close is not None:
            await close()
    await send({"type": "lifespan.shutdown.complete"})


def recorded(site: EmulatorSite, request: Request, operation: str, shown: Any) -> RecordedRequest:
    """Give the record of a request that comes now.

    Args:
        site: Knows the time.
        request: What came.
        operation: What it means.
        shown: Its JSON without secrets; ``None`` where it is not kept.
    """
    return RecordedRequest(
        operation=operation,
        method=request.method,
        path=request.target,
        headers=masked_headers(request.headers),
        json=shown,
        size=len(request.body),
        at=site.timeline.now(),
    )


def small_json(body: bytes) -> Any:
    """Give the JSON of a body for a record: ``None`` for none, for no JSON, and above 256 KiB."""
    if not body or len(body) > _LARGEST_RECORDED:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None


async def finish(
    send: Send,
    answer: Answer,
    fault: Fault | None,
    sender: Callable[[Send, Answer], Awaitable[None]] = send_answer,
) -> None:
    """Send an answer, or what a fault makes of it.

    Args:
        send: The server's own, not wrapped.
        answer: What the provider says.
        fault: What is to go wrong: ``malformed`` sends what no API says, ``lost_response`` closes
            the connection instead, in the middle of the answer where its code is ``halfway``.
        sender: Sends it where nothing goes wrong.
    """
    kind = None if fault is None else fault.kind
    if kind == "malformed":
        answer = Answer(200, _GARBAGE, content_type="text/html")
    if fault is not None and kind == "lost_response":
        await drop_connection(send, answer, halfway=fault.code == "halfway")
        return
    await sender(send, answer)
