"""The form of requests and answers that all emulators with an HTTP API share."""

from __future__ import annotations

import http.client
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from gpuhub.testing.emulator import Fault, HttpEmulator
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.testing.emulator.front import finish, live, recorded, small_json
from gpuhub.testing.emulator.http import listening
from gpuhub.testing.emulator.site import EmulatorSite
from gpuhub.testing.emulator.web import Answer, Receive, Request, Send, read_request


class Front:
    """Answers each request with what a test prepared."""

    def __init__(self) -> None:
        self.site = EmulatorSite(clock=VirtualClock())
        self.answer = Answer.of({"ok": True})
        self.fault: Fault | None = None
        self.seen: list[Request] = []
        self.closed = 0

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, or live along with the server."""
        if scope["type"] == "lifespan":
            await live(self.site, receive, send, close=self._close)
            return
        self.seen.append(await read_request(scope, receive, Request))
        await finish(send, self.answer, self.fault)

    async def _close(self) -> None:
        self.closed += 1


@pytest.fixture
def front() -> Front:
    """An application."""
    return Front()


@pytest.fixture
def connection(front: Front) -> Iterator[http.client.HTTPConnection]:
    """A connection to it."""
    with HttpEmulator(front) as emulator:
        host = emulator.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        yield connection
        connection.close()


async def _pieces(*parts: bytes, breaks: bool = False) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if breaks:
        raise ConnectionResetError("the worker is gone")


def test_a_request_is_read_whole(front: Front, connection: http.client.HTTPConnection) -> None:
    """Path and query as they came and as they are meant; of a name the last value."""
    path, query = "/a%20b/c", "x=1&x=2&empty="
    parts = iter([b'{"n"', b": 1}"])
    connection.request("POST", f"{path}?{query}", parts, {"X-One": "1"}, encode_chunked=True)
    assert connection.getresponse().read() == b'{"ok":true}'
    (request,) = front.seen
    assert (request.method, request.path, request.raw_path) == ("POST", "/a b/c", path)
    assert (request.target, request.raw_query) == (f"{path}?{query}", query)
    assert request.query == {"x": "2", "empty": ""}
    assert request.headers["x-one"] == "1"
    assert request.json() == {"n": 1}


def test_a_body_that_is_no_json(front: Front, connection: http.client.HTTPConnection) -> None:
    """Says so; a provider's own class words it."""
    connection.request("POST", "/", b"{")
    connection.getresponse().read()
    assert front.seen[0].target == "/"
    with pytest.raises(ValueError, match="the body is no JSON"):
        front.seen[0].json()


@pytest.mark.parametrize(
    ("answer", "status", "headers", "body"),
    [
        (
            Answer.of({"a": 1}, 201),
            201,
            {"content-type": "application/json", "content-length": "7"},
            b'{"a":1}',
        ),
        (Answer(204), 204, {"content-type": None}, b""),
        (
            Answer(200, b"x", content_type="", raw_headers=((b"content-type", b"a/b"),)),
            200,
            {"content-type": "a/b"},
            b"x",
        ),
        (
            Answer.of_worker_values({"n": float("nan")}, 202),
            202,
            {"content-length": "10"},
            b'{"n": NaN}',
        ),
    ],
    ids=["json", "nothing", "raw headers", "worker's values"],
)
def test_answers(
    front: Front,
    connection: http.client.HTTPConnection,
    answer: Answer,
    status: int,
    headers: dict[str, str | None],
    body: bytes,
) -> None:
    """Type and length are said where there are any."""
    front.answer = answer
    connection.request("GET", "/")
    response = connection.getresponse()
    assert (response.status, response.read()) == (status, body)
    assert {name: response.getheader(name) for name in headers} == headers


def test_an_answer_to_head(front: Front, connection: http.client.HTTPConnection) -> None:
    """Has the length of what it leaves out."""
    front.answer = Answer(200, b"", {"Content-Length": "123"})
    connection.request("HEAD", "/")
    response = connection.getresponse()
    assert response.headers.get_all("content-length") == ["123"]
    assert response.read() == b""


def test_pieces(front: Front, connection: http.client.HTTPConnection) -> None:
    """Come one after the other, without a length."""
    front.answer = Answer(200, _pieces(b"a", b"b"), content_type="text/plain")
    connection.request("GET", "/")
    response = connection.getresponse()
    assert response.getheader("content-length") is None
    assert response.read() == b"ab"


def test_pieces_that_break_off(front: Front, connection: http.client.HTTPConnection) -> None:
    """Close the connection in the middle of the answer."""
    front.answer = Answer(200, _pieces(b"a", breaks=True), content_type="text/plain")
    connection.request("GET", "/")
    response = connection.getresponse()
    assert response.status == 200
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()


def test_a_lost_answer(front: Front, connection: http.client.HTTPConnection) -> None:
    """The connection is gone before a byte of it, also where it would have come in pieces."""
    front.fault = Fault("lost_response", code="halfway")
    front.answer = Answer(200, _pieces(b"a"))
    connection.request("GET", "/")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        connection.getresponse()
    assert len(front.seen) == 1


def test_an_answer_lost_halfway(front: Front, connection: http.client.HTTPConnection) -> None:
    """Half of it arrives."""
    front.fault = Fault("lost_response", code="halfway")
    front.answer = Answer(200, b"abcd")
    connection.request("GET", "/")
    response = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    assert caught.value.partial == b"ab"


def test_a_malformed_answer(front: Front, connection: http.client.HTTPConnection) -> None:
    """Is what a proxy says, with the status of success."""
    front.fault = Fault("malformed")
    front.answer = Answer.of({}, 404)
    connection.request("GET", "/")
    response = connection.getresponse()
    assert (response.status, response.getheader("content-type")) == (200, "text/html")
    assert response.read().startswith(b"<html>")


def test_what_is_closed_with_the_server(front: Front) -> None:
    """While its loop still runs."""
    with HttpEmulator(front):
        assert front.site.waker.loop is not None
        assert front.closed == 0
    assert front.closed == 1


def test_the_record_of_a_request(front: Front, connection: http.client.HTTPConnection) -> None:
    """What came, without the credential."""
    connection.request("PUT", "/x?y=1", b"[1]", {"Authorization": "Bearer secret"})
    connection.getresponse().read()
    record = recorded(front.site, front.seen[0], "deploy", [1])
    assert (record.operation, record.method, record.path) == ("deploy", "PUT", "/x?y=1")
    assert (record.json, record.size) == ([1], 3)
    assert record.headers["authorization"] == "Bearer ****"


@pytest.mark.parametrize(
    ("body", "shown"),
    [(b"", None), (b"[1]", [1]), (b"{", None), (b"[" + b"1," * 200_000 + b"1]", None)],
    ids=["none", "json", "no json", "large"],
)
def test_what_is_shown_of_a_body(body: bytes, shown: object) -> None:
    """Small JSON only."""
    assert small_json(body) == shown


def test_a_socket_that_listens() -> None:
    """Names its protocol, so that asyncio sends each write at once; a port is taken once."""
    with listening(0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
        with pytest.raises(OSError, match="in use"):
            listening(listener.getsockname()[1])
