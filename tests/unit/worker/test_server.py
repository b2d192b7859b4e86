"""The HTTP worker: routes, statuses, streaming, limits."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gpuhub.worker import reply
from gpuhub.worker.handler import Handler
from gpuhub.worker.server import WorkerServer
from gpuhub.worker.target import Target

LIMIT_S = 30


def double(number: int) -> int:
    """Double."""
    if number < 0:
        raise ValueError("below zero")
    return number * 2


def count(number: int) -> Iterator[int]:
    """Count."""
    yield from range(number)
    if number > 3:
        raise ValueError("too many")


class Broken:
    def setup(self) -> None:
        raise RuntimeError("no weights")

    def __call__(self) -> None: ...


@pytest.fixture(autouse=True)
def _long_drain(monkeypatch):
    """Let a refused caller take long to send the rest."""
    monkeypatch.setattr(reply, "_DRAIN_S", float(LIMIT_S))


@pytest.fixture
def serve():
    """Serve a function on a free port; give a way to send requests."""
    with contextlib.ExitStack() as stack:

        def start(subject: Any, kind: str = "function", **options: Any) -> Client:
            server = WorkerServer(**options)
            stack.callback(server.stop)
            server.start()
            if subject is not None:
                target = Target("m", subject.__qualname__, kind)  # type: ignore[arg-type]
                server.load(Handler(subject, target))
            client = Client(server)
            stack.callback(client.close)
            return client

        yield start


class Client:
    """One kept-alive connection to a worker."""

    def __init__(self, server: WorkerServer) -> None:
        self.server = server
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT_S)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Give status and JSON of the answer."""
        if not isinstance(body, bytes | type(None)) and not hasattr(body, "__next__"):
            body = json.dumps(body).encode()
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        content = response.read()
        self.headers = dict(response.getheaders())
        return response.status, json.loads(content) if content else None

    def close(self) -> None:
        """Hang up."""
        self.connection.close()


def test_invoke_answers_the_envelope(serve):
    """A result, and several calls on one connection."""
    client = serve(double)
    assert client.send("POST", "/invoke", {"number": 2}) == (200, {"result": 4})
    assert client.send("POST", "/invoke", {"number": 3}) == (200, {"result": 6})
    assert client.headers["Content-Type"] == "application/json"


def test_user_errors_are_answers(serve):
    """An exception of the user's code is no failure of the worker: status 200."""
    status, body = serve(double).send("POST", "/invoke", {"number": -1})
    assert status == 200
    assert body["gpuhub_error"]["message"] == "below zero"


@pytest.mark.parametrize(
    ("number", "last"), [(3, {"gpuhub_end": {"items": 3, "wire": 1}}), (4, None)]
)
def test_stream_answers_line_by_line(serve, number, last):
    """One envelope a line, chunked, ended by the end or the error."""
    client = serve(count, "generator")
    client.connection.request("POST", "/stream", json.dumps({"number": number}))
    response = client.connection.getresponse()
    lines = [json.loads(line) for line in response.read().splitlines()]
    assert response.getheader("Transfer-Encoding") == "chunked"
    assert lines[:number] == [{"result": item} for item in range(number)]
    assert lines[number:] == [last] if last else "gpuhub_error" in lines[number]


def test_a_stream_arrives_as_it_goes(serve):
    """The first item is there before the last one is made."""
    go_on = threading.Event()

    def wait() -> Iterator[int]:
        yield 1
        go_on.wait(LIMIT_S)
        yield 2

    client = serve(wait, "generator")
    client.connection.request("POST", "/stream", b"{}")
    response = client.connection.getresponse()
    assert response.readline() == b'{"result":1}\n'
    go_on.set()
    assert response.readline() == b'{"result":2}\n'


def test_a_reader_who_hangs_up_ends_the_generator(serve):
    """The user's generator is closed, and the worker takes the next call."""
    closed = threading.Event()

    def endless() -> Iterator[str]:
        try:
            while True:
                yield "x" * 10_000
        finally:
            closed.set()

    client = serve(endless, "generator")
    client.connection.request("POST", "/stream", b"{}")
    client.connection.getresponse().readline()
    client.connection.sock.shutdown(socket.SHUT_RDWR)
    client.close()
    assert closed.wait(LIMIT_S)
    assert client.send("GET", "/health")[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "line 1 column 1 (char 0)"),
        (b'{"number": }', 400, "line 1 column 12 (char 11)"),
        (b"\xff", 400, "is not JSON"),
        (b'{"number": NaN}', 400, "NaN is not JSON"),
        (b"[" * 100_000, 400, "nested too deeply"),
        (b"[1]", 422, "not list"),
        (b"null", 422, "not NoneType"),
    ],
)
@pytest.mark.parametrize("path", ["/invoke", "/stream"])
def test_bodies_that_are_no_arguments_are_refused(serve, path, body, status, message):
    """Malformed JSON with its position, and JSON that is no object."""
    found, answer = serve(double).send("POST", path, body)
    assert found == status
    assert message in answer["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("POST", "/invok", 404),
        ("POST", "/health", 404),
        ("POST", "/web/x", 404),
        ("GET", "/invoke", 405),
        ("PUT", "/stream", 405),
        ("BREW", "/invoke", 501),
    ],
)
def test_wrong_paths_and_methods(serve, method, path, status):
    """404 names the paths there are; 405 the method to use."""
    client = serve(double)
    client.connection.request(method, path)
    response = client.connection.getresponse()
    body = response.read()
    assert response.status == status
    if status == 404:
        assert "POST /invoke" in json.loads(body)["error"]
    if status == 405:
        assert response.getheader("Allow") == "POST"


def test_health(serve):
    """Ready with the target's description; a HEAD request gets no body."""
    client = serve(double)
    status, body = client.send("GET", "/health")
    assert (status, body["status"], body["target"]["qualname"]) == (200, "ready", "double")
    assert client.send("HEAD", "/health") == (200, None)


def test_health_before_and_after_loading(serve):
    """It listens while it loads: starting, then ready; calls wait."""
    client = serve(None)
    assert client.send("GET", "/health") == (503, {"status": "starting"})
    answers: list[Any] = []
    other = Client(client.server)
    waiting = threading.Thread(
        target=lambda: answers.append(other.send("POST", "/invoke", {"number": 2}))
    )
    waiting.start()
    client.server.load(Handler(double, Target("m", "double")))
    waiting.join(LIMIT_S)
    other.close()
    assert answers == [(200, {"result": 4})]
    assert client.send("GET", "/health")[0] == 200


def test_a_failed_setup_is_told(serve):
    """Health says failed and why; so does each call."""
    client = serve(Broken, "class")
    status, health = client.send("GET", "/health")
    assert (status, health["status"]) == (503, "failed")
    assert client.send("POST", "/invoke", {}) == (200, health["error"])


def test_large_bodies_are_refused(serve):
    """413, and the connection is closed, as the rest of the body is unread."""
    client = serve(double, max_body=20)
    status, body = client.send("POST", "/invoke", {"number": 10**30})
    assert status == 413
    assert "the limit is 20" in body["error"]
    assert client.send("POST", "/invoke", {"number": 1}) == (200, {"result": 2})


@pytest.mark.parametrize("size", [1, 7, 100])
def test_chunked_bodies_are_read(serve, size):
    """A body without a length, in chunks."""
    payload = json.dumps({"number": 4}).encode()
    client = serve(double)
    parts = (payload[start : start + size] for start in range(0, len(payload), size))
    assert client.send("POST", "/invoke", parts) == (200, {"result": 8})


def test_large_chunked_bodies_are_refused(serve):
    """The limit counts over all chunks."""
    client = serve(double, max_body=20)
    assert client.send("POST", "/invoke", (b"x" * 8 for _ in range(4)))[0] == 413


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: many", b"Content-Length: -1", b"Transfer-Encoding: chunked\r\n\r\nzz"],
)
def test_broken_framing_is_refused(serve, head):
    """A length that is none."""
    client = serve(double)
    with socket.create_connection(("127.0.0.1", client.server.port), LIMIT_S) as raw:
        raw.sendall(b"POST /invoke HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")


def test_old_clients_get_streams_without_chunks(serve):
    """HTTP/1.0 knows no chunks: the end of the connection ends the body."""
    client = serve(count, "generator")
    with socket.create_connection(("127.0.0.1", client.server.port), LIMIT_S) as raw:
        raw.sendall(b'POST /stream HTTP/1.0\r\nContent-Length: 12\r\n\r\n{"number":1}')
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body.splitlines()[0] == b'{"result":0}'


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_calls_at_once_than_asked(serve, concurrency):
    """Further calls wait for a free slot."""
    running, peak, lock = 0, 0, threading.Lock()
    full = threading.Event()

    def track() -> None:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
            if running == concurrency:
                full.set()
        full.wait(LIMIT_S)
        with lock:
            running -= 1

    client = serve(track, concurrency=concurrency)
    clients = [Client(client.server) for _ in range(6)]
    threads = [threading.Thread(target=c.send, args=("POST", "/invoke", {})) for c in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    for each in clients:
        each.close()
    assert peak == concurrency


def test_stopping_turns_waiting_calls_away():
    """A worker that ends before it has loaded answers 503."""
    asked = threading.Event()

    class Watched(WorkerServer):
        def handler(self) -> Handler:
            asked.set()
            return super().handler()

    server = Watched()
    server.start()
    client = Client(server)
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(client.send("POST", "/invoke", {})))
    waiting.start()
    assert asked.wait(LIMIT_S)
    server.stop()
    waiting.join(LIMIT_S)
    client.close()
    assert answers[0][0] == 503


def test_a_refused_body_of_any_size_gets_its_answer(serve):
    """A caller who sends megabytes too many still reads why."""
    status, body = serve(double, max_body=1000).send("POST", "/invoke", b"x" * 20_000_000)
    assert status == 413
    assert "the limit is 1000" in body["error"]


@pytest.mark.parametrize("path", ["/invoke", "/stream"])
def test_a_result_that_json_cannot_hold_is_an_error(serve, path):
    """An integer too long to print is the call's failure, not the worker's."""

    def huge() -> int:
        return 10**5000

    client = serve(huge)
    client.connection.request("POST", path, b"{}")
    first = client.connection.getresponse().read().splitlines()[0]
    assert json.loads(first)["gpuhub_error"]["type"] == "ValueError"
