"""Web applications: an address before any worker, a worker when somebody comes."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest

from gpuhub.errors import BadRequest
from gpuhub.scaling import Scaling
from tests.adapters.waiting import until

pytestmark = pytest.mark.slow


def get(url: str, path: str = "/hello") -> tuple[int, str]:
    """Visit a page; gives status and text."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_an_application_wakes_for_a_visitor(lab) -> None:
    """It scales to zero and back, and is billed like any worker."""
    ref = lab.deploy("site", scaling=Scaling(idle_timeout=30))
    assert ref.url is not None
    assert lab.status(ref).workers.total == 0
    assert get(ref.url) == (200, "hello from /hello")
    until(lambda: not lab.status(ref).in_flight, 30)  # its end is seen by another thread
    assert lab.status(ref).workers.idle == 1
    lab.clock.advance(100)
    assert lab.status(ref).workers.total == 0
    assert lab.cloud.billed_seconds.total == 32.0
    assert get(ref.url, "/again") == (200, "hello from /again")


def test_the_address_stays(lab) -> None:
    """Over versions and look-ups."""
    ref = lab.deploy("site")
    found = lab.run(lab.adapter.find(lab.io, ref.name))
    assert lab.deploy("site", env={"A": "1"}).url == found.url == ref.url


def test_a_deleted_application(lab) -> None:
    """Answers with an error, not with silence."""
    ref = lab.deploy("site")
    lab.run(lab.adapter.delete(lab.io, ref))
    status, text = get(ref.url)
    assert status == 404
    assert "no deployment" in text


def test_a_stopped_provider_does_not_listen(lab) -> None:
    """The address is gone."""
    ref = lab.deploy("site")
    lab.cloud.stop()
    with pytest.raises(OSError, match="refused"):
        get(ref.url)


def test_a_function_has_no_address(lab) -> None:
    """Only web applications do."""
    assert lab.deploy("add").url is None


def test_an_application_takes_no_calls(lab) -> None:
    """It takes HTTP requests."""
    with pytest.raises(BadRequest, match="web application"):
        lab.submit(lab.deploy("site"))
