"""Bodies as they arrive."""

from __future__ import annotations

import threading

import pytest

from gpuhub import _drive
from gpuhub._clock import VirtualClock
from gpuhub._http import Connections
from gpuhub.errors import BadRequest, NotFound, ProviderUnavailable
from gpuhub.plan import Request, Retry
from tests.unit.http.loopback import PATIENCE_S, make_info, make_settings

GET = Request("GET", "/logs", retry=Retry.SAFE)


def chunked(exchange, *chunks, end=True):
    """Answer with chunked encoding."""
    exchange.send_response(200)
    exchange.send_header("Transfer-Encoding", "chunked")
    exchange.end_headers()
    for chunk in chunks:
        exchange.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    if end:
        exchange.wfile.write(b"0\r\n\r\n")


def test_chunks_arrive_while_the_answer_goes_on(serve, connect):
    """The first chunk is given before the last was sent."""
    seen = threading.Event()

    def answer(exchange):
        chunked(exchange, b"one", end=False)
        assert seen.wait(30)
        exchange.wfile.write(b"3\r\ntwo\r\n0\r\n\r\n")

    client = connect(serve(answer).url)

    async def use(io):
        chunks = []
        async for chunk in io.stream(GET):
            chunks.append(chunk)
            seen.set()
        return chunks

    assert client.do(use) == [b"one", b"two"]


def test_error_comes_before_the_first_chunk(serve, connect):
    """An error status is mapped, with its words, though the body streams."""
    server = serve(lambda it: it.reply(422, b'{"message": "bad prompt"}'))
    with pytest.raises(BadRequest, match="bad prompt"):
        connect(server.url).chunks(Request("POST", "/run"))


def test_endless_error_is_read_only_so_far(serve, connect):
    """An error that streams on is cut, not waited for."""
    stop = threading.Event()

    def answer(exchange):
        exchange.send_response(404)
        exchange.send_header("Transfer-Encoding", "chunked")
        exchange.end_headers()
        while not stop.is_set():
            exchange.wfile.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")

    with pytest.raises(NotFound, match="xxx"):
        connect(serve(answer).url).chunks(GET)
    stop.set()


def test_opening_is_retried(serve, connect):
    """Until the first byte, a stream is retried like any request."""
    statuses = iter([503, 200])
    server = serve(lambda it: it.reply(next(statuses), b"ok"))
    client = connect(server.url, clock=VirtualClock())
    assert b"".join(client.chunks(Request("POST", "/run"))) == b"ok"


@pytest.mark.parametrize("chunked_body", [True, False])
def test_cut_stream_is_an_error_and_not_repeated(serve, connect, chunked_body):
    """A stream that breaks off says after how many bytes; it is never begun again."""

    def answer(exchange):
        if chunked_body:
            chunked(exchange, b"1234", end=False)
        else:
            exchange.send_response(200)
            exchange.send_header("Content-Length", "10")
            exchange.end_headers()
            exchange.wfile.write(b"1234")
        exchange.drop()

    server = serve(answer)
    client = connect(server.url, clock=VirtualClock())
    seen = []

    async def use(io):
        async for chunk in io.stream(GET):
            seen.append(chunk)  # noqa: PERF401 - kept when the stream breaks off

    with pytest.raises(ProviderUnavailable, match="stream was cut after 4 bytes") as caught:
        client.do(use)
    assert caught.value.accepted is None
    assert b"".join(seen) == b"1234"
    assert len(server.received) == 1


def test_leaving_a_stream_closes_the_connection(serve, connect):
    """A consumer that stops early hangs up, and later requests work."""
    gone = threading.Event()

    def answer(exchange):
        if exchange.path == "/after":
            exchange.reply()
            return
        chunked(exchange, b"x", end=False)
        try:
            while True:
                exchange.wfile.write(b"1\r\ny\r\n")
        except OSError:
            gone.set()

    client = connect(serve(answer).url)

    async def use(io):
        chunks = io.stream(GET)
        await anext(chunks)
        await chunks.aclose()
        assert await io.run(gone.wait, 30)
        return await io.send(Request("GET", "/after"))

    assert client.do(use).status == 200


def test_break_out_of_a_blocking_stream_hangs_up(serve):
    """``break`` in sync mode closes the generator, the answer and the connection."""
    gone = threading.Event()

    def answer(exchange):
        chunked(exchange, b"x", end=False)
        try:
            while True:
                exchange.wfile.write(b"1\r\ny\r\n")
        except OSError:
            gone.set()

    connections = Connections(make_info(), make_settings(api_url=serve(answer).url))
    for chunk in _drive.sync_iter(connections.blocking().stream(GET)):
        assert chunk
        break
    assert gone.wait(30)
    connections.close()


def test_silent_stream_times_out(serve, connect):
    """A stream that says nothing for the request's timeout is cut."""
    stop = threading.Event()
    client = connect(serve(lambda it: (chunked(it, b"x", end=False), stop.wait(50))).url)
    for limit in PATIENCE_S:
        with pytest.raises(ProviderUnavailable) as caught:
            client.chunks(Request("GET", "/", timeout=limit))
        if "waiting for the answer" not in caught.value.message:
            break
    stop.set()
    assert f"cut after 1 bytes (timed out after {limit:g} s)" in caught.value.message
