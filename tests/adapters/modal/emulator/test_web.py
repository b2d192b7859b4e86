"""Web functions: every request is a call of a container with an ASGI application."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from gpuhub_modal.emulator import EmulatorOptions
from tests.adapters.modal.emulator.conftest import Laboratory


def site() -> Callable[[], Any]:
    """Give a closure that gives an application which tells of its requests."""

    def it() -> Any:
        import json

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return
            body = b""
            while True:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            if scope["path"] == "/fail":
                message = "the application fails"
                raise ValueError(message)
            told = {
                "method": scope["method"],
                "path": scope["path"],
                "query": scope["query_string"].decode(),
                "names": sorted(name.decode() for name, _ in scope["headers"]),
                "body": body.decode(),
            }
            headers = [(b"content-type", b"application/json"), (b"x-made-by", b"app")]
            await send({"type": "http.response.start", "status": 201, "headers": headers})
            for part in json.dumps(told).partition('"path"'):
                await send({"type": "http.response.body", "body": part.encode(), "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        return app

    return it


def deployed(lab: Laboratory, **settings: Any) -> Any:
    """Deploy it; give its handle."""
    return lab.deploy(lab.modal.asgi_app(**settings)(site()))


def test_a_request_reaches_the_application(lab: Laboratory) -> None:
    """With its method, path, query, headers and body; the answer comes back as it is."""
    url = deployed(lab).get_web_url()
    answer = httpx.post(f"{url}/a/b?c=d", content=b"sent", headers={"X-Own": "1"}, timeout=20)
    assert answer.status_code == 201
    assert answer.headers["x-made-by"] == "app"
    told = answer.json()
    assert (told["method"], told["path"], told["query"]) == ("POST", "/a/b", "c=d")
    assert told["body"] == "sent"
    assert "x-own" in told["names"]
    assert lab.emulator.billed_seconds.total > 0


def test_many_requests_and_large_bodies(lab: Laboratory) -> None:
    """Side by side."""
    url = deployed(lab).get_web_url()
    bodies = [str(number) * 300_000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda body: httpx.post(url, content=body, timeout=60), bodies))
    assert [answer.json()["body"] for answer in answers] == bodies


def test_an_application_that_fails(lab: Laboratory) -> None:
    """Is a 500, and the next request is answered."""
    url = deployed(lab).get_web_url()
    assert httpx.get(f"{url}/fail", timeout=20).status_code == 500
    assert httpx.get(f"{url}/fine", timeout=20).status_code == 201


def test_the_address_stays(lab: Laboratory) -> None:
    """Through all versions; a stopped app answers no more."""
    first = deployed(lab).get_web_url()
    lab.deploy(lab.modal.asgi_app()(site()), timeout=77)
    assert lab.handle().get_web_url() == first
    lab.modal.App.lookup("lab", client=lab.client).stop()
    assert httpx.get(first, timeout=20).status_code == 404


def test_it_is_no_function_to_call(lab: Laboratory) -> None:
    """Modal's client says so."""
    with pytest.raises(lab.modal.exception.InvalidError, match=r"(?i)web"):
        deployed(lab).remote()


class TestProxyAuthorization:
    """``requires_proxy_auth``."""

    @pytest.fixture
    def options(self) -> EmulatorOptions:
        """One proxy token is known."""
        return EmulatorOptions(proxy_tokens={"wk-made-up": "ws-made-up"})

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 401),
            ({"Modal-Key": "wk-made-up"}, 401),
            ({"Modal-Key": "wk-made-up", "Modal-Secret": "ws-wrong"}, 401),
            ({"Modal-Key": "wk-made-up", "Modal-Secret": "ws-made-up"}, 201),
        ],
    )
    def test_who_is_let_through(
        self, lab: Laboratory, headers: dict[str, str], status: int
    ) -> None:
        """With a token only; the application does not see it."""
        url = deployed(lab, requires_proxy_auth=True).get_web_url()
        answer = httpx.get(url, headers=headers, timeout=20)
        assert answer.status_code == status
        if status == 401:
            assert answer.text.startswith("modal-http:")
            assert lab.emulator.billed_seconds.total == 0
        else:
            assert not {"modal-key", "modal-secret"} & set(answer.json()["names"])
