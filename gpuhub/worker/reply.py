"""Writes HTTP answers on a connection of ``http.server``, whole or in chunks."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from typing import Any

from gpuhub.worker.wire import dumps

__all__ = ["Refusal", "Reply", "drain", "read_body", "send_body", "send_json"]

_BODILESS = (204, 304)
_DRAIN_S = 1.0
_DRAIN_BLOCKS = 4096


class Refusal(Exception):  # noqa: N818  (says what happened)
    """A request that is answered with an error status.

    Attributes:
        status: HTTP status.
        message: For the caller.
        headers: Further headers.
    """

    def __init__(self, status: int, message: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = tuple(headers)


class Reply:
    """One answer: a head, any number of parts, an end.

    Args:
        connection: The request's handler.
        status: HTTP status.
        headers: Headers; without ``Content-Length`` the body is chunked.
    """

    def __init__(
        self, connection: BaseHTTPRequestHandler, status: int, headers: Iterable[tuple[str, str]]
    ) -> None:
        self._connection = connection
        connection.send_response_only(status)
        names = set()
        for name, value in headers:
            if name.lower() != "transfer-encoding":  # ours to choose
                names.add(name.lower())
                connection.send_header(name, value)
        if connection.close_connection:
            connection.send_header("Connection", "close")
        has_body = connection.command != "HEAD" and status >= 200 and status not in _BODILESS
        self._has_body = has_body
        self._chunked = has_body and "content-length" not in names
        if self._chunked and connection.request_version == "HTTP/1.0":
            self._chunked = False
        elif self._chunked:
            connection.send_header("Transfer-Encoding", "chunked")
        connection.end_headers()

    def write(self, data: bytes) -> None:
        """Send one part now.

        Raises:
            OSError: The caller is gone.
        """
        if not (data and self._has_body):
            return
        file = self._connection.wfile
        file.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        file.flush()

    def end(self) -> None:
        """End the answer."""
        if self._chunked:
            self._connection.wfile.write(b"0\r\n\r\n")
        self._connection.wfile.flush()


def send_json(
    connection: BaseHTTPRequestHandler,
    status: int,
    document: Any,
    headers: Iterable[tuple[str, str]] = (),
) -> None:
    """Send one document as JSON."""
    send_body(connection, status, dumps(document), headers)


def send_body(
    connection: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    headers: Iterable[tuple[str, str]] = (),
) -> None:
    """Send one JSON text."""
    length = ("Content-Length", str(len(body)))
    reply = Reply(connection, status, [("Content-Type", "application/json"), length, *headers])
    reply.write(body)
    reply.end()


def drain(connection: BaseHTTPRequestHandler) -> None:
    """Read on for a moment after a refusal: a caller who still sends would miss the answer."""
    connection.wfile.flush()
    connection.connection.shutdown(socket.SHUT_WR)
    connection.connection.settimeout(_DRAIN_S)
    for _ in range(_DRAIN_BLOCKS):
        if not connection.connection.recv(65536):
            return


def read_body(connection: BaseHTTPRequestHandler, limit: int) -> bytes:
    """Read the request's body, with a length or chunked.

    Raises:
        Refusal: It is larger than ``limit`` bytes (413), or its framing is broken (400).
    """
    if "chunked" in connection.headers.get("Transfer-Encoding", "").lower():
        return _read_chunks(connection, limit)
    length = _number(connection, connection.headers.get("Content-Length", "0"), 10)
    _check_size(connection, length, limit)
    return connection.rfile.read(length)


def _read_chunks(connection: BaseHTTPRequestHandler, limit: int) -> bytes:
    parts: list[bytes] = []
    total = 0
    while True:
        line = connection.rfile.readline(1024).split(b";")[0].strip().decode("latin-1")
        size = _number(connection, line, 16)
        if size == 0:
            break
        total += size
        _check_size(connection, total, limit)
        parts.append(connection.rfile.read(size))
        connection.rfile.readline(8)
    while connection.rfile.readline(65536).strip():  # trailers
        pass
    return b"".join(parts)


def _number(connection: BaseHTTPRequestHandler, text: str, base: int) -> int:
    try:
        number = int(text, base)
    except ValueError:
        number = -1
    if number < 0:
        connection.close_connection = True
        raise Refusal(400, f"{text[:40]!r} is no length of a request body")
    return number


def _check_size(connection: BaseHTTPRequestHandler, size: int, limit: int) -> None:
    if size > limit:
        # What is left of the body would be taken for the next request.
        connection.close_connection = True
        raise Refusal(413, f"the request body has {size} bytes or more; the limit is {limit}")
