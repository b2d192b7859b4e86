"""Requests and answers of the emulator, and how they go over ASGI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from gpuhub.worker.wire import dumps, loads
from gpuhub_replicate.emulator.problems import Problem

if TYPE_CHECKING:
    from gpuhub.testing.emulator import Fault

__all__ = ["Answer", "Asgi", "Request", "drop_connection", "read_request", "send_answer"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Mapping[str, Any], Receive, Send], Awaitable[None]]

_ABORT_TURNS = 50


@dataclass(slots=True)
class Request:
    """One request.

    Attributes:
        method: HTTP method.
        path: Path without query, percent-decoded.
        query: Of the query; the last value of each name.
        headers: Names in lower case.
        body: All of it.
        receive: Gives what the client sends further, such as its leaving.
        target: Path with query, as it came.
        fault: What is to go wrong with it, if the handler has to see to that.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    receive: Receive
    target: str
    fault: Fault | None = None

    def json(self) -> Any:
        """Read the body.

        Raises:
            Problem: 400, it is no JSON.
        """
        try:
            return loads(self.body)
        except ValueError as error:
            raise Problem(400, f"the body is no JSON: {error}") from None


@dataclass(slots=True)
class Answer:
    """One answer.

    Attributes:
        status: HTTP status.
        body: All of it, or pieces as they come.
        headers: Beside length and type.
        content_type: Type of the body.
    """

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    @classmethod
    def of(cls, document: Any, status: int = 200) -> Answer:
        """Answer with JSON."""
        return cls(status, dumps(document))

    @classmethod
    def of_worker_values(cls, document: Any, status: int = 200) -> Answer:
        """Answer with JSON that holds what a worker sent: it may have values JSON has not."""
        return cls(
            status, json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
        )


async def read_request(scope: Mapping[str, Any], receive: Receive) -> Request:
    """Read one request with its body."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    text = scope["query_string"].decode("latin-1")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    raw = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(text, keep_blank_values=True)) if text else {},
        headers=headers,
        body=body,
        receive=receive,
        target=f"{raw}?{text}" if text else raw,
    )


async def send_answer(send: Send, answer: Answer) -> None:
    """Send one answer, whole or in pieces."""
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    if answer.status != 204:
        headers.append((b"content-type", answer.content_type.encode()))
    # An answer to HEAD says the length of what it leaves out.
    if isinstance(answer.body, bytes) and b"content-length" not in dict(headers):
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if isinstance(answer.body, bytes):
        await send({"type": "http.response.body", "body": answer.body})
        return
    async for piece in answer.body:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def drop_connection(send: Send, answer: Answer, *, halfway: bool) -> None:
    """Close the connection without an answer, or in the middle of one.

    Args:
        send: The server's own, not wrapped.
        answer: What would have been said.
        halfway: Whether half of it is.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    halfway = halfway and isinstance(answer.body, bytes) and answer.body != b""
    if halfway and isinstance(answer.body, bytes):
        length = str(len(answer.body) + 1).encode()
        start = {"type": "http.response.start", "status": answer.status}
        await send({**start, "headers": [(b"content-length", length)]})
        part = answer.body[: len(answer.body) // 2]
        await send({"type": "http.response.body", "body": part, "more_body": True})
    if transport is not None:
        transport.close() if halfway else transport.abort()
    for _ in range(_ABORT_TURNS):  # until the server has seen that the connection is gone
        await asyncio.sleep(0)
