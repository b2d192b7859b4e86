"""A receiver of webhooks, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(ThreadingHTTPServer):
    """Takes whatever is posted to it.

    Attributes:
        got: Headers, in any case, and body of each.
        refusals: How many are answered with 500 first.
    """

    def __init__(self) -> None:
        self.got: list[tuple[Message, bytes]] = []
        self.refusals = 0
        super().__init__(("127.0.0.1", 0), _Post)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def take(self, headers: Message, body: bytes) -> int:
        """Keep one; give the status of the answer."""
        self.got.append((headers, body))
        self.refusals -= 1
        return 500 if self.refusals >= 0 else 200


class _Post(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.take(self.headers, body))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Listen until the end."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
