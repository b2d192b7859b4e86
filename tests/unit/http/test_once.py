"""Never twice: a request whose answer was lost is received exactly once."""

from __future__ import annotations

import pytest

from gpuhub._clock import VirtualClock
from gpuhub._retry import RetryPolicy
from gpuhub.errors import NotFound, ProviderUnavailable, RateLimited
from gpuhub.plan import Request, Retry

METHODS = ["GET", "PUT", "POST", "DELETE", "PATCH"]


def drop_after(kept):
    """Answer the first ``kept`` requests, then drop the connection after receipt."""

    def answer(exchange):
        if len(exchange.server.received) <= kept:
            exchange.reply()
        else:
            exchange.drop()

    return answer


@pytest.mark.parametrize("body", [None, b"x" * 100_000], ids=["no-body", "body"])
@pytest.mark.parametrize("kept", [0, 1, 3], ids=["fresh", "kept-alive", "kept-alive-long"])
@pytest.mark.parametrize("method", METHODS)
def test_lost_answer_is_not_sent_again(serve, connect, method, kept, body):
    """Whatever the method and however old the connection, one receipt and an unknown outcome."""
    server = serve(drop_after(kept))
    client = connect(server.url)
    for _ in range(kept):
        client.send(Request(method, "/warm", retry=Retry.NEVER))
    with pytest.raises(ProviderUnavailable) as caught:
        client.send(Request(method, "/run", body=body, retry=Retry.NEVER))
    assert caught.value.accepted is None
    assert "waiting for the answer" in caught.value.message
    assert [each.path for each in server.received].count("/run") == 1
    assert len({each.connection for each in server.received}) == 1


@pytest.mark.parametrize("method", METHODS)
def test_refused_only_does_not_repeat_a_lost_answer(serve, connect, method):
    """The default rule repeats refusals only, and a lost answer is none."""
    server = serve(drop_after(0))
    with pytest.raises(ProviderUnavailable):
        connect(server.url, clock=VirtualClock()).send(Request(method, "/run"))
    assert len(server.received) == 1


def test_lost_file_is_not_sent_again(serve, connect, tmp_path):
    """The same for a body that is streamed."""
    path = tmp_path / "body"
    path.write_bytes(b"y" * 300_000)
    server = serve(drop_after(1))
    client = connect(server.url)
    client.send(Request("GET", "/warm"))
    with pytest.raises(ProviderUnavailable):
        client.send(Request("PUT", "/run", body=path))
    assert [each.path for each in server.received] == ["/warm", "/run"]


def test_safe_repeats_a_lost_answer(serve, connect, tmp_path):
    """A request that may be repeated is; a file is read again from its start."""
    path = tmp_path / "body"
    path.write_bytes(b"y" * 300_000)
    left = [2]

    def answer(exchange):
        left[0] -= 1
        exchange.drop() if left[0] >= 0 else exchange.reply()

    server = serve(answer)
    client = connect(server.url, clock=VirtualClock())
    client.send(Request("PUT", "/run", body=path, retry=Retry.SAFE))
    assert [each.body for each in server.received] == [path.read_bytes()] * 3


@pytest.mark.parametrize("status", [429, 503])
def test_refusals_are_repeated_as_the_provider_asks(serve, connect, status):
    """429 and 503 are repeated after ``Retry-After``; the answer then is the answer."""
    statuses = iter([status, status, 200])
    server = serve(lambda it: it.reply(next(statuses), Retry_After="4"))
    clock = VirtualClock()
    client = connect(server.url, clock=clock, policy=RetryPolicy(random=lambda: 0.0))
    assert client.send(Request("POST", "/run")).status == 200
    assert clock.now() == 8.0
    assert len(server.received) == 3


@pytest.mark.parametrize("status", [429, 503])
def test_never_repeats_no_refusal_either(serve, connect, status):
    """``NEVER`` means one try."""
    server = serve(lambda it: it.reply(status))
    with pytest.raises((RateLimited, ProviderUnavailable)):
        connect(server.url).send(Request("POST", "/run", retry=Retry.NEVER))
    assert len(server.received) == 1


def test_refusal_after_a_lost_answer_is_unknown(serve, connect):
    """A late 404 does not make the earlier, unanswered try certain to have had no effect."""
    left = [1]

    def answer(exchange):
        left[0] -= 1
        exchange.drop() if left[0] >= 0 else exchange.reply(404)

    server = serve(answer)
    with pytest.raises(NotFound, match="tried 2 times") as caught:
        connect(server.url, clock=VirtualClock()).send(Request("DELETE", "/x", retry=Retry.SAFE))
    assert caught.value.accepted is None


def test_waits_do_not_exceed_the_budget(serve, connect):
    """A wait that would end after the budget is not begun."""
    server = serve(lambda it: it.reply(429, Retry_After="30"))
    clock = VirtualClock()
    with pytest.raises(RateLimited) as caught:
        connect(server.url, clock=clock, bound=20.0).send(Request("POST", "/run"))
    assert caught.value.retry_after == 30.0
    assert clock.now() == 0.0
    assert len(server.received) == 1
