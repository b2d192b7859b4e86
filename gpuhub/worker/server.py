"""A small HTTP worker around a handler.

``POST /invoke`` takes a JSON object of arguments and answers the envelope, with status 200 also
when the user's code raised. ``POST /stream`` answers one envelope a line. ``GET /health`` answers
``{"status": "starting" | "ready" | "failed", …}``. A web target gets every other path, and every
path below ``/web``.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from gpuhub.worker.asgi import AsgiApp
from gpuhub.worker.handler import Handler
from gpuhub.worker.reply import Refusal, Reply, drain, read_body, send_body, send_json
from gpuhub.worker.wire import envelope_bytes, loads

__all__ = ["MAX_BODY", "WorkerServer"]

MAX_BODY = 100 * 1024 * 1024
"""Largest request body, in bytes, unless told otherwise."""


class WorkerServer:
    """Listens from the start; answers calls once :meth:`load` has given it a handler.

    Args:
        host: Address to listen on.
        port: Port; 0 takes a free one.
        concurrency: Calls that run at once; further ones wait.
        max_body: Largest request body, in bytes.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        concurrency: int = 1,
        max_body: int = MAX_BODY,
    ) -> None:
        self.max_body = max_body
        self.slots = threading.BoundedSemaphore(concurrency)
        self._loaded = threading.Event()
        self._stopping = False
        self._handler: Handler | None = None
        self._app: AsgiApp | None = None
        self._server = _Server((host, port), _Connection)
        self._server.worker = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to listen; calls wait until a handler is there."""
        self._thread.start()

    def load(self, handler: Handler) -> None:
        """Set up the handler on this thread, then answer calls with it.

        A setup that fails is not raised: every call reports it.
        """
        handler.prepare()
        try:
            if handler.target.kind == "web" and handler.describe()["status"] == "ready":
                self._app = handler.web_app()
                self._app.startup()
        except Exception as error:  # noqa: BLE001  (whatever the user's application raises)
            handler = Handler.failed(handler.target, error)
        self._handler = handler
        self._loaded.set()

    def stop(self) -> None:
        """Stop listening and end the application; calls in flight are not waited for."""
        self._stopping = True
        self._loaded.set()
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()
        if self._app is not None:
            self._app.shutdown()
        if self._handler is not None:
            self._handler.close()

    def health(self) -> dict[str, Any]:
        """Give what ``GET /health`` answers."""
        return self._handler.describe() if self._handler is not None else {"status": "starting"}

    def handler(self) -> Handler:
        """Give the handler, waiting for it.

        Raises:
            Refusal: The worker is ending (503).
        """
        self._loaded.wait()
        if self._stopping or self._handler is None:
            raise Refusal(503, "this worker is ending", [("Retry-After", "1")])
        return self._handler

    def app(self) -> AsgiApp | None:
        """Give the ASGI application of a web target that started."""
        return self._app if self.handler().describe()["status"] == "ready" else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    # A burst of calls must not be refused while the worker is busy.
    request_queue_size = 256
    worker: WorkerServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a caller went away; http.server would print a traceback."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Leave the log to the user's code."""

    def _answer(self) -> None:
        try:
            body = read_body(self, self.server.worker.max_body)
            self._route(urlsplit(self.path).path, body)
        except Refusal as refusal:
            send_json(self, refusal.status, {"error": refusal.message}, refusal.headers)
            if self.close_connection:
                drain(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815

    def _route(self, path: str, body: bytes) -> None:
        worker = self.server.worker
        if path == "/health" and self.command in ("GET", "HEAD"):
            health = worker.health()
            send_json(self, 200 if health["status"] == "ready" else 503, health)
            return
        handler = worker.handler()
        if handler.target.kind == "web":
            with worker.slots:
                self._web(worker, path, body)
        elif path in ("/invoke", "/stream"):
            if self.command != "POST":
                raise Refusal(405, f"{path} takes POST, not {self.command}", [("Allow", "POST")])
            arguments = _arguments(body)
            with worker.slots:
                self._call(handler, arguments, streamed=path == "/stream")
        else:
            raise Refusal(404, f"{path[:200]} is none of POST /invoke, POST /stream, GET /health")

    def _web(self, worker: WorkerServer, path: str, body: bytes) -> None:
        app = worker.app()
        if app is None:
            send_json(self, 500, worker.health().get("error", {"error": "the worker failed"}))
            return
        app.serve(self, body, "/web" if path == "/web" or path.startswith("/web/") else "")

    def _call(self, handler: Handler, arguments: dict[str, Any], *, streamed: bool) -> None:
        if not streamed:
            send_body(self, 200, envelope_bytes(handler.invoke(arguments)))
            return
        reply = Reply(self, 200, [("Content-Type", "application/x-ndjson")])
        for envelope in handler.stream(arguments):
            reply.write(envelope_bytes(envelope) + b"\n")
        reply.end()


def _arguments(body: bytes) -> dict[str, Any]:
    try:
        arguments = loads(body)
    except ValueError as error:
        raise Refusal(400, f"the body is not JSON: {error}") from error
    if not isinstance(arguments, dict):
        kind = type(arguments).__name__
        raise Refusal(422, f"the body must be a JSON object of named arguments, not {kind}")
    return arguments
