"""A made-up provider on loopback that does as told, and the ways to speak to it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from pydantic import SecretStr

from gpuhub import _drive
from gpuhub._http import ConnectionLimits, Connections
from gpuhub.adapter import AdapterInfo, Origin
from gpuhub.plan import Request, Response
from gpuhub.settings import Credential, ProviderSettings

SECRET = "s3cret-of-acme"
KEY = Credential("api_key", "ACME_API_KEY", help="create one in the console")
KEEPING = ConnectionLimits(connect_s=50.0, keepalive_s=60.0)
"""A connection between two requests of a test is kept, however late the second one comes."""
PATIENCE_S = (0.15, 1.0, 5.0, 20.0)
"""Time limits to be tried: the first in which a request surely reaches the server is enough."""
ORIGIN = Origin("api", "api_url", "https://api.acme.example", {"Authorization": "Bearer {api_key}"})


def make_info(**facts: Any) -> AdapterInfo:
    """Give the facts of a made-up provider."""
    defaults = {
        "name": "acme",
        "title": "Acme",
        "docs_url": "https://acme.example/docs",
        "credentials": (KEY,),
        "origins": (ORIGIN,),
    }
    return AdapterInfo(**(defaults | facts))


def make_settings(secret: str | None = SECRET, **values: Any) -> ProviderSettings:
    """Give its settings."""
    secrets = {} if secret is None else {"api_key": SecretStr(secret)}
    return ProviderSettings(provider="acme", values=values, credentials=(KEY,), secrets=secrets)


@dataclass
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Exchange(BaseHTTPRequestHandler):
    """Reads whole requests, then does what the server was told."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(self.command, self.path, headers, body, self.client_address[1])
        self.server.received.append(received)
        self.server.answer(self)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _any  # noqa: N815 - http.server's names

    def reply(self, status: int = 200, body: bytes = b"{}", **headers: str) -> None:
        """Answer; underscores in header names stand for dashes."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drop(self) -> None:
        """Close the connection instead of answering."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *args: Any) -> None:
        """Stay quiet."""


class Server(ThreadingHTTPServer):
    """A provider that keeps what it received."""

    request_queue_size = 600
    daemon_threads = True

    def __init__(self, answer: Callable[[Exchange], None]) -> None:
        self.answer = answer
        self.received: list[Received] = []
        super().__init__(("127.0.0.1", 0), Exchange)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *args: Any) -> None:
        """A client that went away is part of the tests."""


Kind = Literal["sync", "async", "fast"]


@dataclass
class Client:
    """Connections, spoken to in one of the three ways."""

    kind: Kind
    connections: Connections
    runner: asyncio.Runner
    bound: float | None = field(default=None)

    @property
    def io(self) -> Any:
        made = self.connections.blocking if self.kind == "sync" else self.connections.asynchronous
        return made().bounded(self.bound)

    def do(self, use: Callable[[Any], Any]) -> Any:
        """Run a coroutine over the ``Io``."""
        if self.kind == "sync":
            return _drive.run(use(self.io))
        return self.runner.run(use(self.io))

    def send(self, request: Request) -> Response:
        response: Response = self.do(lambda io: io.send(request))
        return response

    def chunks(self, request: Request) -> list[bytes]:
        async def all_of(io: Any) -> list[bytes]:
            return [chunk async for chunk in io.stream(request)]

        chunks: list[bytes] = self.do(all_of)
        return chunks
