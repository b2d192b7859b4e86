"""Statuses, codes and bodies become the errors they stand for."""

from __future__ import annotations

import json

import pytest

from gpuhub._http.answers import retry_after
from gpuhub.adapter import ErrorFacts, ErrorRule
from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    MalformedResponse,
    NoCapacity,
    NotFound,
    PayloadTooLarge,
    ProviderError,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
)
from gpuhub.plan import Request, Response, Retry
from tests.unit.http.loopback import SECRET, make_info

ONCE = Request("POST", "/run", retry=Retry.NEVER)


class OddError(ProviderError):
    """An adapter's own error."""


@pytest.mark.parametrize(
    ("status", "error", "accepted"),
    [
        (301, MalformedResponse, False),
        (400, BadRequest, False),
        (401, AuthFailed, False),
        (402, QuotaExceeded, False),
        (403, AuthFailed, False),
        (404, NotFound, False),
        (405, BadRequest, False),
        (408, ProviderUnavailable, None),
        (409, BadRequest, False),
        (410, NotFound, False),
        (413, PayloadTooLarge, False),
        (422, BadRequest, False),
        (429, RateLimited, False),
        (500, ProviderUnavailable, None),
        (502, ProviderUnavailable, None),
        (503, ProviderUnavailable, False),
        (504, ProviderUnavailable, None),
        (530, ProviderUnavailable, None),
    ],
)
def test_status_has_its_error(serve, connect, status, error, accepted):
    """Without a rule of the adapter each status maps by default, with all facts and a step."""
    body = json.dumps({"error": {"message": "no such thing", "code": "E7"}}).encode()
    server = serve(lambda it: it.reply(status, body, X_Request_Id="req-1"))
    with pytest.raises(error) as caught:
        connect(server.url).send(ONCE)
    found = caught.value
    assert type(found) is error
    assert (found.provider, found.status, found.code) == ("acme", status, "E7")
    assert (found.request_id, found.accepted) == ("req-1", accepted)
    assert "no such thing" in found.message
    assert f"POST {server.url}/run" in found.message
    assert found.next_step


def test_refused_credential_names_its_variable(serve, connect):
    """A 401 says which variable to look at."""
    server = serve(lambda it: it.reply(401, b"no"))
    with pytest.raises(AuthFailed, match="check ACME_API_KEY"):
        connect(server.url).send(ONCE)


def test_redirect_names_the_host_and_is_not_followed(serve, connect):
    """A redirect is an error: the credential does not go where it points."""
    location = "https://elsewhere.example/path?token=tok-1"
    server = serve(lambda it: it.reply(307, b"", Location=location))
    with pytest.raises(MalformedResponse, match=r"redirects to elsewhere\.example:443") as caught:
        connect(server.url).send(ONCE)
    assert "tok-1" not in str(caught.value)
    assert len(server.received) == 1


@pytest.mark.parametrize("location", ["http://[::1", "http://x:port/"])
def test_redirect_to_nonsense_is_an_error_too(serve, connect, location):
    """A location that is no address does not break the error."""
    server = serve(lambda it: it.reply(302, b"", Location=location))
    with pytest.raises(MalformedResponse, match="an address that is none"):
        connect(server.url).send(ONCE)


def test_accepted_statuses_are_answers(serve, connect):
    """``accept`` lists the answers, errors and redirects included; others are errors."""
    statuses = iter([404, 302, 200])
    server = serve(lambda it: it.reply(next(statuses)))
    client = connect(server.url)
    request = Request("GET", "/", accept=(404, 302), retry=Retry.NEVER)
    assert client.send(request).status == 404
    assert client.send(request).status == 302
    with pytest.raises(MalformedResponse, match="with 200 OK") as caught:
        client.send(request)
    assert caught.value.accepted is None


def test_first_matching_rule_wins(serve, connect):
    """A rule matches by status and code, and brings class, step and acceptance."""
    rules = (
        ErrorRule(500, NoCapacity, code="no_gpu", next_step="allow another GPU"),
        ErrorRule(500, RateLimited, accepted=None),
        ErrorRule(500, BadRequest),
    )
    bodies = iter([b'{"code": "no_gpu"}', b'{"code": "other"}'])
    server = serve(lambda it: it.reply(500, next(bodies), Retry_After="3"))
    client = connect(server.url, info=make_info(errors=rules))
    with pytest.raises(NoCapacity, match="allow another GPU") as caught:
        client.send(ONCE)
    assert (caught.value.code, caught.value.accepted) == ("no_gpu", False)
    with pytest.raises(RateLimited) as limited:
        client.send(ONCE)
    assert (limited.value.retry_after, limited.value.accepted) == (3.0, None)


@pytest.mark.parametrize(("error", "step"), [(NoCapacity, "allow another GPU"), (OddError, "")])
def test_rule_without_a_step_gets_the_usual_one(serve, connect, error, step):
    """A rule may leave the next step to the defaults; an unknown class has none."""
    server = serve(lambda it: it.reply(500))
    with pytest.raises(error) as caught:
        connect(server.url, info=make_info(errors=(ErrorRule(500, error),))).send(ONCE)
    assert step in caught.value.next_step
    assert bool(step) is bool(caught.value.next_step)


def test_adapter_reads_the_error(serve, connect):
    """``read_error`` supplies message, code and request id."""
    info = make_info(read_error=lambda response: ErrorFacts("words", "C1", "id-1"))
    server = serve(lambda it: it.reply(400, b"<xml>", X_Request_Id="other"))
    with pytest.raises(BadRequest, match="words") as caught:
        connect(server.url, info=info).send(ONCE)
    assert (caught.value.code, caught.value.request_id) == ("C1", "id-1")


@pytest.mark.parametrize("body", [b"<html>\n bad  gateway</html>", b"[1]", b'"text"', b"\xff\xfe"])
def test_unreadable_body_is_quoted(serve, connect, body):
    """When ``read_error`` fails on a proxy's page, the start of its text is shown."""
    info = make_info(read_error=lambda response: ErrorFacts(response.json()["error"]["message"]))
    server = serve(lambda it: it.reply(502, body + b"x" * 5000))
    with pytest.raises(ProviderUnavailable) as caught:
        connect(server.url, info=info).send(ONCE)
    assert " ".join(body.decode("utf-8", "replace").split()) in caught.value.message
    assert len(caught.value.message) < 500


def test_empty_body_still_says_something(serve, connect):
    """An answer without words names status and phrase."""
    server = serve(lambda it: it.reply(599, b""))
    with pytest.raises(ProviderUnavailable, match="with 599: no further words"):
        connect(server.url).send(ONCE)


def test_errors_show_no_secret(serve, connect):
    """A provider that echoes the credential does not get it into our errors; nor the query."""
    echo = json.dumps({"message": f"bad key {SECRET}", "code": SECRET}).encode()
    server = serve(lambda it: it.reply(403, echo))
    with pytest.raises(AuthFailed) as caught:
        connect(server.url).send(Request("GET", "/x", query={"auth_token": "tok-1"}))
    error = caught.value
    seen = f"{error} {error!r} {vars(error)} {error.__cause__!r} {error.__context__!r}"
    assert SECRET not in seen
    assert "tok-1" not in seen
    assert "bad key ***" in seen


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        (
            {
                "date": "Sat, 01 Aug 2026 10:00:00 GMT",
                "retry-after": "Sat, 01 Aug 2026 10:00:07 GMT",
            },
            7.0,
        ),
        ({"retry-after": "Sat, 01 Aug 2020 10:00:00 GMT"}, 0.0),
        ({"retry-after": "Sat, 99 Aug 2020 10:00:00 GMT"}, None),
    ],
)
def test_retry_after_is_read(headers, seconds):
    """Seconds or a date, counted from the answer's own date."""
    assert retry_after(Response(429, headers, b"")) == seconds


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_reaches_the_error(serve, connect, status):
    """The error carries what the provider asked for."""
    server = serve(lambda it: it.reply(status, Retry_After="12"))
    with pytest.raises(ProviderError) as caught:
        connect(server.url).send(ONCE)
    assert isinstance(caught.value, (RateLimited, ProviderUnavailable))
    assert caught.value.retry_after == 12.0


def test_an_adapter_may_read_how_long_to_wait(serve, connect):
    """Some providers say it in a header of their own, or in words."""
    server = serve(lambda it: it.reply(429, b'{"wait": 7}'))
    info = make_info(read_error=lambda answer: ErrorFacts(retry_after=answer.json()["wait"]))
    with pytest.raises(RateLimited) as caught:
        connect(server.url, info=info).send(ONCE)
    assert caught.value.retry_after == 7
