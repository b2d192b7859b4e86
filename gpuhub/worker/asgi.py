"""Serves an ASGI 3 application from ``http.server`` requests.

HTTP and lifespan only: a scope of type ``websocket`` is never offered. The application runs on one
event loop in a thread; each request waits for it on a thread of its own.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import traceback
from http.server import BaseHTTPRequestHandler
from typing import Any, Callable
from urllib.parse import unquote, urlsplit

from gpuhub.worker.loop import LoopThread
from gpuhub.worker.reply import Reply, send_json

__all__ = ["AsgiApp", "LifespanFailed"]

Message = dict[str, Any]

_VERSIONS = {"version": "3.0", "spec_version": "2.4"}


class LifespanFailed(RuntimeError):  # noqa: N818  (says what happened)
    """The application reported that its start failed."""


class AsgiApp:
    """One application and the loop it runs on.

    Args:
        app: The ASGI 3 application.
        loop: Where it runs.
    """

    def __init__(self, app: Callable[..., Any], loop: LoopThread) -> None:
        self._app = app
        self._loop = loop
        self._state: dict[str, Any] = {}
        self._lifespan: _Lifespan | None = None

    def startup(self) -> None:
        """Run the application's start; one without lifespan support is taken as started.

        Raises:
            LifespanFailed: The application says that it cannot start.
        """
        self._lifespan = _Lifespan(self._app, self._state)
        self._loop.run(self._lifespan.startup())

    def shutdown(self, timeout_s: float = 2.0) -> None:
        """Run the application's end, for at most ``timeout_s`` seconds."""
        if self._lifespan is not None:
            self._loop.run(self._lifespan.shutdown(timeout_s))

    def serve(self, connection: BaseHTTPRequestHandler, body: bytes, root_path: str = "") -> None:
        """Answer one request; returns when the answer is complete.

        Args:
            connection: The request.
            body: Its whole body.
            root_path: Leading part of the path that is not the application's.
        """
        scope = {**_scope(connection, root_path), "state": self._state.copy()}
        exchange = _Exchange(connection, body)
        loop = self._loop.loop()
        asyncio.run_coroutine_threadsafe(exchange.run(self._app, scope), loop)
        exchange.answer(loop)


def _scope(connection: BaseHTTPRequestHandler, root_path: str) -> dict[str, Any]:
    address = urlsplit(connection.path)
    server: Any = connection.server.server_address
    return {
        "type": "http",
        "asgi": _VERSIONS,
        "http_version": connection.request_version.partition("/")[2],
        "method": connection.command,
        "scheme": "http",
        "path": unquote(address.path),
        "raw_path": address.path.encode("latin-1", "replace"),
        "query_string": address.query.encode("latin-1", "replace"),
        "root_path": root_path,
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in connection.headers.items()
        ],
        "client": connection.client_address[:2],
        "server": (server[0], server[1]),
    }


class _Exchange:
    """One request between the application's loop and the thread that owns the connection."""

    def __init__(self, connection: BaseHTTPRequestHandler, body: bytes) -> None:
        self._connection = connection
        self._body: bytes | None = body
        self._messages: queue.Queue[tuple[Message | None, Any]] = queue.Queue()
        self._over: asyncio.Event

    async def run(self, app: Callable[..., Any], scope: dict[str, Any]) -> None:
        """Run the application, on its loop."""
        self._over = asyncio.Event()  # here: Python 3.9 ties it to the loop it is made on
        try:
            await app(scope, self._receive, self._send)
        except Exception:  # noqa: BLE001  (whatever the user's application raises)
            traceback.print_exc(file=sys.stderr)
        finally:
            self._messages.put((None, None))

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._over.is_set():
            return
        # Wait until it is written: a fast application must not fill the memory.
        written = asyncio.Event()
        self._messages.put((message, written))
        await written.wait()

    def answer(self, loop: asyncio.AbstractEventLoop) -> None:
        """Write what the application sends, on the connection's thread."""
        reply = None
        start: Message | None = None
        more = True
        while more:
            message, written = self._messages.get()
            if message is None:
                break
            try:
                if message["type"] == "http.response.start":
                    start = message
                elif message["type"] == "http.response.body" and start is not None:
                    reply = reply or _begin(self._connection, start)
                    reply.write(message.get("body", b""))
                    more = message.get("more_body", False)
                    if not more:
                        reply.end()
            except OSError:  # the caller is gone
                self._connection.close_connection = True
                more = False
            if not more:
                loop.call_soon_threadsafe(self._over.set)
            loop.call_soon_threadsafe(written.set)
        if more:
            self._break_off(started=reply is not None)

    def _break_off(self, *, started: bool) -> None:
        """End an answer that the application did not end."""
        self._connection.close_connection = True
        if not started:
            send_json(self._connection, 500, {"error": "the application failed; see its log"})


def _begin(connection: BaseHTTPRequestHandler, start: Message) -> Reply:
    pairs = start.get("headers", ())
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]
    return Reply(connection, start["status"], headers)


class _Lifespan:
    """The application's start and end."""

    def __init__(self, app: Callable[..., Any], state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        self._incoming: asyncio.Queue[Message]
        self._outgoing: asyncio.Queue[Message | None]
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        self._incoming, self._outgoing = asyncio.Queue(), asyncio.Queue()
        self._task = asyncio.create_task(self._run())
        await self._incoming.put({"type": "lifespan.startup"})
        answer = await self._outgoing.get()
        if answer is not None and answer["type"] == "lifespan.startup.failed":
            raise LifespanFailed(f"the application did not start: {answer.get('message', '')}")

    async def shutdown(self, timeout_s: float) -> None:
        if self._task is None or self._task.done():
            return
        await self._incoming.put({"type": "lifespan.shutdown"})
        await asyncio.wait([self._task], timeout=timeout_s)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": _VERSIONS, "state": self._state}
        try:
            await self._app(scope, self._incoming.get, self._outgoing.put)
        except Exception:  # noqa: BLE001, S110  (an application without lifespan support raises)
            pass
        finally:
            await self._outgoing.put(None)
