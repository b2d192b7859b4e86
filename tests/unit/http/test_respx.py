"""Adapters test their small things with respx: it must see every transport."""

from __future__ import annotations

import httpx
import pytest
import respx

from gpuhub.errors import ProviderUnavailable, RateLimited
from gpuhub.plan import Request, Retry

URL = "https://api.acme.example/v2/run"
RUN = Request("POST", "/v2/run", json={"a": 1}, retry=Retry.NEVER)


@pytest.fixture
def provider():
    """Answer in the provider's stead; nothing reaches the network."""
    with respx.mock(using="httpx", assert_all_called=False) as mocked:
        yield mocked


def test_answers_are_mocked(provider, connect):
    """A mocked answer arrives, and the request can be looked at."""
    route = provider.post(URL, json={"a": 1}).respond(200, json={"id": "c-1"})
    assert connect().send(RUN).json() == {"id": "c-1"}
    assert route.calls.last.request.headers["authorization"].startswith("Bearer ")


def test_errors_are_mocked(provider, connect):
    """A mocked status and a mocked failure map like real ones."""
    route = provider.post(URL).respond(429, headers={"Retry-After": "2"})
    client = connect()
    with pytest.raises(RateLimited) as limited:
        client.send(RUN)
    assert limited.value.retry_after == 2.0
    route.mock(side_effect=httpx.ConnectError("refused"))
    with pytest.raises(ProviderUnavailable) as refused:
        client.send(RUN)
    assert refused.value.accepted is False
    route.mock(side_effect=httpx.ReadTimeout("slow"))
    with pytest.raises(ProviderUnavailable) as lost:
        client.send(RUN)
    assert lost.value.accepted is None


def test_streams_are_mocked(provider, connect):
    """A mocked stream gives its bytes."""
    provider.post(URL).respond(200, content=b"one two")
    assert b"".join(connect().chunks(RUN)) == b"one two"
