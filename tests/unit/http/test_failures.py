"""Requests that get no answer: what is known, what is said."""

from __future__ import annotations

import socket
import threading
import time

import httpx
import pytest

from gpuhub._clock import VirtualClock
from gpuhub._http import ConnectionLimits
from gpuhub._http.failures import failure_of, phase_of
from gpuhub._retry import RetryPolicy
from gpuhub.errors import MalformedResponse, ProviderUnavailable, SpecError
from gpuhub.plan import Request, Retry
from tests.unit.http.loopback import PATIENCE_S, SECRET

ONCE = Request("POST", "/run", retry=Retry.NEVER, query={"token": "tok-1"})


def failed(client, request=ONCE):
    """Send it, and give the error."""
    with pytest.raises(ProviderUnavailable) as caught:
        client.send(request)
    error = caught.value
    assert error.provider == "acme"
    assert error.next_step
    seen = f"{error} {vars(error)} {error.__cause__!r} {error.__context__!r}"
    assert SECRET not in seen
    assert "tok-1" not in seen
    return error


@pytest.fixture
def unused_port():
    """A port nobody listens on, nor can while the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_refused_connection_was_not_sent(connect, unused_port):
    """Nobody listens: certainly not sent; the host, the port and the setting are named."""
    error = failed(connect(f"http://127.0.0.1:{unused_port}"))
    assert error.accepted is False
    assert f"POST http://127.0.0.1:{unused_port}/run: failed while connecting" in error.message
    assert "it was not sent" in error.message
    assert "api_url in [providers.acme]" in error.next_step


def test_unknown_host_was_not_sent(connect, monkeypatch):
    """A name that does not resolve: certainly not sent."""

    def no_such_name(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    error = failed(connect("http://nowhere.invalid"))
    assert error.accepted is False
    assert "nowhere.invalid:80" in error.message
    assert "not known" in error.message or "resolve" in error.message


def test_plain_text_server_on_https_was_not_sent(serve, connect):
    """A failed TLS handshake: certainly not sent."""
    error = failed(connect(serve().url.replace("http://", "https://")))
    assert error.accepted is False
    assert "failed while connecting" in error.message


def test_connect_timeout_was_not_sent(connect):
    """A host that does not take the connection in time: not sent, with the limit in the text."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]  # fill the backlog, so that SYNs are dropped
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        limits = ConnectionLimits(connect_s=0.1)
        error = failed(connect(f"http://127.0.0.1:{port}", limits=limits))
        for each in waiting:
            each.close()
    assert error.accepted is False
    assert "failed while connecting (timed out after 0.1 s)" in error.message


def test_waiting_for_a_connection_was_not_sent(serve, connect):
    """A full pool: not sent."""
    release = threading.Event()
    server = serve(lambda it: (release.wait(50), it.reply()))
    limits = ConnectionLimits(max_connections=1, pool_s=0.1)
    client = connect(server.url, limits=limits)
    try:
        if client.kind == "sync":
            first = threading.Thread(target=client.send, args=(ONCE,))
            first.start()
            while not server.received:
                time.sleep(0.005)
            error = failed(client)
        else:
            error = _second_of_two(client, server)
    finally:
        release.set()
        if client.kind == "sync":
            first.join()
    assert error.accepted is False
    assert "it was not sent" in error.message
    assert len(server.received) == 1


def _second_of_two(client, server):
    import asyncio

    async def both(io):
        first = asyncio.create_task(io.send(ONCE))
        while not server.received:  # noqa: ASYNC110 - another thread receives
            await asyncio.sleep(0.005)
        try:
            with pytest.raises(ProviderUnavailable) as caught:
                await io.send(ONCE)
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
        return caught.value

    return client.do(both)


def test_no_answer_in_time_may_have_had_an_effect(serve, connect):
    """A read timeout: unknown, and the request's own limit in the text."""
    release = threading.Event()
    server = serve(lambda it: release.wait(50))
    request = Request("POST", "/run", timeout=0.1, retry=Retry.NEVER)
    error = failed(connect(server.url), request)
    release.set()
    assert error.accepted is None
    assert "failed while waiting for the answer (timed out after 0.1 s)" in error.message
    assert "it may have had an effect" in error.message


def test_garbage_instead_of_http_may_have_had_an_effect(serve, connect):
    """An answer that is no HTTP: unknown."""
    server = serve(lambda it: (it.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n"), it.drop()))
    error = failed(connect(server.url))
    assert error.accepted is None
    assert "failed while waiting for the answer" in error.message


def half(exchange):
    """Promise ten bytes, send four."""
    exchange.send_response(200)
    exchange.send_header("Content-Length", "10")
    exchange.end_headers()
    exchange.wfile.write(b"1234")
    exchange.drop()


def test_cut_answer_may_have_had_an_effect(serve, connect):
    """A body shorter than promised is never taken for the whole."""
    error = failed(connect(serve(half).url))
    assert error.accepted is None
    assert "stream was cut after 4 bytes" in error.message


def test_broken_compression_is_malformed(serve, connect):
    """An answer that does not decompress is the provider's fault, its effect unknown."""
    server = serve(lambda it: it.reply(200, b"no gzip", Content_Encoding="gzip"))
    with pytest.raises(MalformedResponse, match="cannot be decompressed") as caught:
        connect(server.url).send(ONCE)
    assert caught.value.accepted is None


@pytest.mark.parametrize("path", ["/a\nb", "/x" * 40_000])
def test_address_that_cannot_be_written_is_refused(connect, path):
    """Control characters and endless addresses are not sent."""
    with pytest.raises(SpecError, match="cannot be sent"):
        connect("http://127.0.0.1:9").send(Request("GET", path))


@pytest.mark.parametrize("kind", ["sync"], indirect=True)
def test_protocol_errors_of_ours_are_not_quoted(connect):
    """The HTTP library quotes header values when it refuses to write a request."""
    outgoing = connect("http://127.0.0.1:9").connections.prepared(ONCE, None)
    refused = httpx.LocalProtocolError(f"Illegal header value b'{SECRET}'")
    error = failure_of(refused, outgoing, phase_of(refused))
    assert "failed while sending the request (it is no valid HTTP)" in error.message
    assert SECRET not in str(error)


def test_used_up_budget_sends_nothing(serve, connect):
    """A bounded view whose time is over refuses before anything is sent."""
    server = serve()
    clock = VirtualClock()
    client = connect(server.url, clock=clock)

    async def late(io):
        bounded = io.bounded(5.0)
        clock.advance(5.0)
        return await bounded.send(ONCE)

    with pytest.raises(ProviderUnavailable, match="was not sent: the time given is used up") as it:
        client.do(late)
    assert it.value.accepted is False
    assert not server.received


def test_budget_cuts_the_wait_for_an_answer(serve, connect):
    """A bounded view waits no longer than its budget, whatever the request's own timeout."""
    release = threading.Event()
    server = serve(lambda it: release.wait(50))
    request = Request("POST", "/run", timeout=30, retry=Retry.SAFE)
    for bound in PATIENCE_S:
        server.received.clear()
        error = failed(connect(server.url, bound=bound), request)
        if error.accepted is None:  # else it was over before the request was sent
            break
    release.set()
    assert error.accepted is None
    assert "the time given is used up" in error.message
    assert len(server.received) <= 1


def test_budget_cuts_an_answer_that_trickles(serve, connect):
    """Bytes that keep coming do not extend a budget."""
    stop = threading.Event()

    def trickle(exchange):
        exchange.send_response(200)
        exchange.send_header("Content-Length", "100000")
        exchange.end_headers()
        while not stop.wait(0.02):
            exchange.wfile.write(b"x")

    server = serve(trickle)
    for bound in PATIENCE_S:
        error = failed(connect(server.url, bound=bound))
        if "used up after" in error.message:  # else it was over before the answer began
            break
    stop.set()
    assert error.accepted is None
    assert "used up after" in error.message


def test_earlier_bound_stays(connect):
    """A wider bound inside a narrow one does not widen it; ``None`` adds none."""
    clock = VirtualClock()
    client = connect("http://127.0.0.1:9", clock=clock)

    async def late(io):
        inner = io.bounded(1.0).bounded(10.0).bounded(None)
        clock.advance(2.0)
        return await inner.send(ONCE)

    with pytest.raises(ProviderUnavailable, match="used up"):
        client.do(late)


def test_last_error_says_how_often_it_was_tried(connect, unused_port):
    """The final error keeps its type and counts the tries."""
    clock = VirtualClock()
    policy = RetryPolicy(attempts=3, random=lambda: 1.0)
    client = connect(f"http://127.0.0.1:{unused_port}", clock=clock, policy=policy)
    error = failed(client, Request("POST", "/run"))
    assert error.message.endswith("; tried 3 times over 1.5 s")
    assert error.accepted is False
