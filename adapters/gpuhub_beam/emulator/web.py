"""Requests and answers of the emulator, and how they go over ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from gpuhub.worker.wire import dumps, loads
from gpuhub_beam.emulator.problems import Problem

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
        query: Of the query; all values of each name.
        headers: Names in lower case.
        body: All of it.
        receive: Gives what the client sends further, such as its leaving.
        target: Path with query, as it came.
        fault: What is to go wrong with it, if the handler has to see to that.
        operation: What it means, as in ``Emulator.requests``.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    receive: Receive
    target: str
    fault: Fault | None = None
    operation: str = ""

    def json(self) -> Any:
        """Read the body.

        Raises:
            Problem: 400, it is no JSON.
        """
        try:
            return loads(self.body)
        except ValueError as error:
            raise Problem(400, f"the body is no JSON: {error}") from None

    def asked(self, name: str) -> str:
        """Give the last value of a query's parameter; empty when it is not there."""
        return self.query.get(name, [""])[-1]


@dataclass(slots=True)
class Answer:
    """One answer.

    Attributes:
        status: HTTP status.
        body: All of it, or pieces as they come.
        headers: Beside length and type.
        content_type: Type of the body; empty: it is among the raw headers.
        raw_headers: Further headers, passed on as a container sent them.
    """

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    raw_headers: tuple[tuple[bytes, bytes], ...] = ()

    @classmethod
    def of(cls, document: Any, status: int = 200) -> Answer:
        """Answer with JSON."""
        return cls(status, dumps(document))


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
        query=parse_qs(text, keep_blank_values=True) if text else {},
        headers=headers,
        body=body,
        receive=receive,
        target=f"{raw}?{text}" if text else raw,
    )


async def send_answer(send: Send, answer: Answer, receive: Receive) -> None:
    """Send one answer, whole or in pieces; a client that leaves ends the pieces."""
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    headers += answer.raw_headers
    if answer.status != 204 and answer.content_type:
        headers.append((b"content-type", answer.content_type.encode()))
    if isinstance(answer.body, bytes):
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if isinstance(answer.body, bytes):
        await send({"type": "http.response.body", "body": answer.body})
        return
    sending = asyncio.ensure_future(_send_pieces(send, answer.body))
    leaving = asyncio.ensure_future(_left(receive))
    await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    if not sending.done():
        sending.cancel()
    await asyncio.wait([sending])
    if not sending.cancelled() and sending.exception() is not None:
        await _break_off(send)


async def _send_pieces(send: Send, pieces: AsyncIterator[bytes]) -> None:
    try:
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _break_off(send: Send) -> None:
    """Close the connection in the middle of an answer."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.close()
    for _ in range(_ABORT_TURNS):
        await asyncio.sleep(0)


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
