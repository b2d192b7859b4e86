"""Serves an ASGI application on loopback, for emulators of providers with an HTTP API."""

from __future__ import annotations

import atexit
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from gpuhub.errors import AdapterNotInstalled

if TYPE_CHECKING:
    from gpuhub.testing.emulator.prompt_server import PromptServer

__all__ = ["HttpEmulator", "listening"]

_START_S = 30.0

_NO_WEBSOCKETS: Mapping[str, Any] = {"ws": "none"}
_WEBSOCKETS: Mapping[str, Any] = {
    "ws": "websockets-sansio",  # the older implementation warns of its own end
    "ws_max_size": sys.maxsize,
    "ws_per_message_deflate": False,
    "ws_ping_interval": None,
}


class HttpEmulator:
    """One application on ``127.0.0.1``, in a thread, until it is stopped or Python ends.

    Args:
        app: An ASGI application, such as a ``starlette.applications.Starlette``.
        port: Port to listen on; 0 (default) takes a free one.
        websockets: Whether the application takes websockets, as ASGI's scopes ``websocket`` with
            the extension ``websocket.http.response``. They are not compressed, the server sends no
            pings of its own, and messages may have any size. Default: a request for one comes as
            a plain ``GET``.
    """

    def __init__(self, app: Callable[..., Any], *, port: int = 0, websockets: bool = False) -> None:
        self._app = app
        self._port = port
        self._websockets = websockets
        self._server: PromptServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Base URL without a slash at its end.

        Raises:
            RuntimeError: It was not started.
        """
        if self._server is None:
            raise RuntimeError("the emulator is not running: call start() first")
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> str:
        """Listen and give the base URL. Once started, this gives it again.

        Raises:
            AdapterNotInstalled: The extra ``emulator`` is not installed.
            OSError: The port is taken.
        """
        if self._server is not None:
            return self.url
        server = _server(self._app, websockets=self._websockets)
        listener = listening(self._port)
        self._port = listener.getsockname()[1]
        self._server = server
        self._thread = threading.Thread(
            target=_serve, args=(self._server, listener), name="gpuhub-emulator", daemon=True
        )
        self._thread.start()
        self._await_start(listener)
        atexit.register(_stop, weakref.ref(self))
        return self.url

    def stop(self) -> None:
        """Stop listening and wait for the thread. May be called twice."""
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is None or thread is None:
            return
        server.end()
        thread.join(_START_S)

    def _await_start(self, listener: socket.socket) -> None:
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return
        pause = threading.Event()
        waited = 0.0
        while not server.started:
            if not thread.is_alive() or waited > _START_S:
                listener.close()
                self.stop()
                raise RuntimeError("the emulator's application did not start; see its log")
            pause.wait(0.005)
            waited += 0.005

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def listening(port: int) -> socket.socket:
    """Give a socket that listens on ``127.0.0.1``.

    Args:
        port: Of it; 0 takes a free one.

    Raises:
        OSError: The port is taken.
    """
    # asyncio turns Nagle's algorithm off only on sockets that name their protocol: without it
    # each answer in two writes would wait 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


def _serve(server: PromptServer, listener: socket.socket) -> None:
    with suppress(SystemExit):  # how uvicorn says that the application did not start
        server.run([listener])


def _stop(reference: weakref.ref[HttpEmulator]) -> None:
    emulator = reference()
    if emulator is not None:
        emulator.stop()


def _server(app: Callable[..., Any], *, websockets: bool) -> PromptServer:
    try:
        import uvicorn

        from gpuhub.testing.emulator.prompt_server import PromptServer

        if websockets:
            import_module("websockets.server")  # else uvicorn says it much later
    except ImportError as error:
        raise AdapterNotInstalled(
            f"an emulator needs starlette, uvicorn and websockets: {error}",
            next_step='pip install "gpuhub-sdk[emulator]"',
        ) from error
    settings = _WEBSOCKETS if websockets else _NO_WEBSOCKETS
    return PromptServer(uvicorn.Config(app, log_config=None, access_log=False, **settings))
