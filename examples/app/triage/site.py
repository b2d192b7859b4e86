"""A web application."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import gpuhub
from triage.functions import IMAGE, topics

__all__ = ["site"]

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@gpuhub.web(image=IMAGE, scaling=gpuhub.Scaling(concurrency=8))
def site() -> Callable[[dict[str, Any], Receive, Send], Awaitable[None]]:
    """Make the ASGI application, once for each worker: ``GET /topics?text=…``."""

    async def application(scope: dict[str, Any], _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        text = parse_qs(scope["query_string"].decode()).get("text", [""])[0]
        body = json.dumps({"path": scope["path"], "topics": sorted(topics().found(text))}).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application
