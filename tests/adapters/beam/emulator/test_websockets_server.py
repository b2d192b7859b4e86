"""The emulators' server takes websockets where it is asked to, and cuts them when it stops."""

from __future__ import annotations

import gc
import socket
import sys
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from gpuhub.errors import AdapterNotInstalled
from gpuhub.testing.emulator import HttpEmulator
from tests.adapters.waiting import until

OPEN: dict[str, Any] = {"open_timeout": 30, "proxy": None, "compression": None, "max_size": None}


async def live(receive: Any, send: Any) -> None:
    """Live along with the server."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send back what comes; refuse ``/no``."""
    if scope["type"] == "lifespan":
        await live(receive, send)
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"plain"})
    elif scope["path"] == "/no":
        start = {"status": 418, "headers": [(b"x-why", b"tea")]}
        await send({"type": "websocket.http.response.start", **start})
        await send({"type": "websocket.http.response.body", "body": b"short and stout"})
    else:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            given = {name: message.get(name) for name in ("text", "bytes")}
            await send({"type": "websocket.send", **given})


def opened(emulator: HttpEmulator, path: str = "/") -> ClientConnection:
    """Open a websocket."""
    return connect(emulator.url.replace("http", "ws") + path, **OPEN)


def test_an_application_with_websockets() -> None:
    """Text and bytes of any size; without compression, which takes longer than it saves here."""
    with HttpEmulator(echo, websockets=True) as emulator, opened(emulator) as client:
        for message in ("text", b"bytes", "", b"", "x" * 20_000_000):
            client.send(message)
            assert client.recv(timeout=50) == message
        assert client.response is not None
        assert "sec-websocket-extensions" not in client.response.headers


def test_a_handshake_that_is_refused() -> None:
    """By an answer of the application's own."""
    with HttpEmulator(echo, websockets=True) as emulator:
        with pytest.raises(InvalidStatus) as raised:
            opened(emulator, "/no")
        answer = raised.value.response
        assert (answer.status_code, answer.headers["x-why"]) == (418, "tea")
        assert answer.body == b"short and stout"


def test_none_unless_asked_for() -> None:
    """The request arrives as a plain one."""
    with HttpEmulator(echo) as emulator, pytest.raises(InvalidStatus, match="404"):
        opened(emulator)


def test_the_missing_package_is_named(monkeypatch) -> None:
    """When it starts, with the line that installs it."""
    monkeypatch.setitem(sys.modules, "websockets.server", None)
    with pytest.raises(AdapterNotInstalled, match=r"(?s)websockets.*gpuhub-sdk\[emulator\]"):
        HttpEmulator(echo, websockets=True).start()


@pytest.mark.filterwarnings("error")
def test_stopping_cuts_open_websockets() -> None:
    """At once, also those that wait for their handshake, and those whose client does not read."""
    began: list[str] = []

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        await receive()
        if scope["path"] != "/waiting":
            await send({"type": "websocket.accept"})
        began.append(scope["path"])
        while scope["path"] == "/full":
            await send({"type": "websocket.send", "bytes": bytes(1_000_000)})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    def took() -> float:
        began.clear()
        emulator = HttpEmulator(silent, websockets=True)
        emulator.start()
        clients = [raw(emulator, path) for path in ("/idle", "/waiting", "/full")]
        until(lambda: len(began) == len(clients))
        started = time.monotonic()
        emulator.stop()
        seconds = time.monotonic() - started
        for client in clients:
            client.settimeout(30)
            with client:
                assert is_cut(client)
        return seconds

    assert any(took() < 1 for _ in range(10))
    gc.collect()  # an open socket warns now


def raw(emulator: HttpEmulator, path: str) -> socket.socket:
    """Ask for a websocket, and read nothing."""
    client = socket.create_connection(("127.0.0.1", int(emulator.url.rpartition(":")[2])))
    head = f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    client.sendall((head + key).encode())
    return client


def is_cut(client: socket.socket) -> bool:
    """Read to the end of a connection."""
    try:
        while client.recv(1_000_000):
            pass
    except ConnectionError:
        pass
    return True


def test_a_client_learns_that_it_stops() -> None:
    """As of a server that is restarted."""
    emulator = HttpEmulator(echo, websockets=True)
    emulator.start()
    with opened(emulator) as client:
        client.send("there")
        assert client.recv(timeout=30) == "there"
        emulator.stop()
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(timeout=30)
        assert raised.value.rcvd is not None
        assert raised.value.rcvd.code == 1012
