"""Requests and answers of an emulator with an HTTP API, and how they go over ASGI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

from gpuhub.worker.wire import dumps, loads

if TYPE_CHECKING:
    from gpuhub.testing.emulator.faults import Fault

__all__ = [
    "Answer",
    "Message",
    "Receive",
    "Request",
    "Send",
    "drop_connection",
    "read_request",
    "send_answer",
]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_ABORT_TURNS = 50


@dataclass(slots=True)
class Request:
    """One request.

    Attributes:
        method: HTTP method.
        path: Path without query, percent-decoded.
        raw_path: Path without query, as it came.
        raw_query: The query, as it came.
        query: Of the query; the last value of each name.
        headers: Names in lower case.
        body: All of it.
        receive: Gives what the client sends further, such as its leaving.
        fault: What is to go wrong with it, if the handler has to see to that.
    """

    method: str
    path: str
    raw_path: str
    raw_query: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    receive: Receive
    fault: Fault | None = None

    @property
    def target(self) -> str:
        """Path with query, as it came."""
        return f"{self.raw_path}?{self.raw_query}" if self.raw_query else self.raw_path

    def json(self) -> Any:
        """Read the body.

        Raises:
            Exception: What :meth:`refusal` gives; it is no JSON.
        """
        try:
            return loads(self.body)
        except ValueError as error:
            raise self.refusal(f"the body is no JSON: {error}") from None

    def refusal(self, words: str) -> Exception:
        """Give what is raised for a body that is no JSON; a provider has its own."""
        return ValueError(words)


@dataclass(slots=True)
class Answer:
    """One answer.

    Attributes:
        status: HTTP status.
        body: All of it, or pieces as they come; a ``ConnectionError`` among them closes the
            connection.
        headers: Beside length and type.
        content_type: Type of the body; empty: none, or it is among the raw headers.
        raw_headers: Further headers, passed on as somebody else sent them.
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

    @classmethod
    def of_worker_values(cls, document: Any, status: int = 200) -> Answer:
        """Answer with JSON that holds what a worker sent: it may have values JSON has not."""
        text = json.dumps(document, ensure_ascii=False)
        return cls(status, text.encode("utf-8", "surrogatepass"))


AnyRequest = TypeVar("AnyRequest", bound=Request)


async def read_request(
    scope: Mapping[str, Any], receive: Receive, kind: type[AnyRequest]
) -> AnyRequest:
    """Read one request with its body.

    Args:
        scope: What ASGI says of it.
        receive: Gives the body.
        kind: A provider's own class of requests.
    """
    text = scope["query_string"].decode("latin-1")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return kind(
        method=scope["method"],
        path=scope["path"],
        raw_path=scope.get("raw_path", scope["path"].encode()).decode("latin-1"),
        raw_query=text,
        query=dict(parse_qsl(text, keep_blank_values=True)) if text else {},
        headers=headers,
        body=await _read_body(receive),
        receive=receive,
    )


async def _read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while (message := await receive())["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(parts)


async def send_answer(send: Send, answer: Answer) -> None:
    """Send one answer, whole or in pieces; pieces that break off close the connection."""
    start = {"type": "http.response.start", "status": answer.status}
    await send({**start, "headers": _headers(answer)})
    if isinstance(answer.body, bytes):
        await send({"type": "http.response.body", "body": answer.body})
        return
    try:
        async for piece in answer.body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except ConnectionError:
        await _close(send, halfway=True)
        return
    await send({"type": "http.response.body", "body": b""})


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    headers += answer.raw_headers
    if answer.status != 204 and answer.content_type:
        headers.append((b"content-type", answer.content_type.encode()))
    # An answer to HEAD says the length of what it leaves out.
    if isinstance(answer.body, bytes) and b"content-length" not in dict(headers):
        headers.append((b"content-length", b"%d" % len(answer.body)))
    return headers


async def drop_connection(send: Send, answer: Answer, *, halfway: bool) -> None:
    """Close the connection without an answer, or in the middle of one.

    Args:
        send: The server's own, not wrapped.
        answer: What would have been said; one in pieces is not begun.
        halfway: Whether half of it is.
    """
    body = answer.body if isinstance(answer.body, bytes) else b""
    halfway = halfway and body != b""
    if halfway:
        start = {"type": "http.response.start", "status": answer.status}
        await send({**start, "headers": [(b"content-length", b"%d" % (len(body) + 1))]})
        part = body[: len(body) // 2]
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await _close(send, halfway=halfway)


async def _close(send: Send, *, halfway: bool) -> None:
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.close() if halfway else transport.abort()
    for _ in range(_ABORT_TURNS):  # until the server has seen that the connection is gone
        await asyncio.sleep(0)
