"""The ASGI application: who asks for what, whether they may, and what is to go wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator import Fault
from gpuhub.testing.emulator.front import finish, live, recorded, small_json
from gpuhub.testing.emulator.web import Receive, Send, read_request
from gpuhub_baseten.emulator.problems import Problem
from gpuhub_baseten.emulator.routes import Route, Routes
from gpuhub_baseten.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_baseten.emulator.site import Site

__all__ = ["Service"]

_REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "rate_limit": (429, "too many requests", "rate_limited"),
    "capacity": (503, "no capacity for this model is available", "model_unavailable"),
    "server_error": (500, "internal error", "internal_baseten_error"),
    "unauthorized": (401, "invalid API key", "unauthorized"),
}
"""Faults that refuse a request before it has any effect; their wording is a guess."""

_LEAP_S = 30.0


class Service:
    """Answers all requests.

    Args:
        site: What all parts share.
        routes: Who handles what.
        close: Called when the server ends.
    """

    def __init__(self, site: Site, routes: Routes, close: Callable[[], Awaitable[None]]) -> None:
        self._site = site
        self._routes = routes
        self._close = close

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, or live along with the server."""
        if scope["type"] == "lifespan":
            await live(self._site, receive, send, leap_s=_LEAP_S, close=self._close)
            return
        request = await read_request(scope, receive, Request)
        route, arguments = self._routes.find(request)
        fault = self._note(route, request)
        try:
            self._authorize(route, request)
            if fault is not None and fault.kind in _REFUSALS:
                raise _refusal(fault)
            request.fault = fault
            answer = await route.handle(request, *arguments)
        except Problem as problem:
            answer = _told(route, problem)
        if fault is not None and fault.kind == "lost_response":
            await _play_out(answer)
        await finish(send, answer, fault)

    def _note(self, route: Route, request: Request) -> Fault | None:
        """Record a request, and give what is to go wrong with it."""
        shown = _shown(route, request)
        self._site.requests.add(recorded(self._site, request, route.operation, shown))
        return self._site.faults.take(route.operation)

    def _authorize(self, route: Route, request: Request) -> None:
        """Check the key; uploads have a signature instead.

        Raises:
            Problem: 401 without a known one, 403 when it may not do this.
        """
        if route.plane == "store":
            return
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "api-key") or not key:
            raise Problem(401, "missing or malformed Authorization header")
        keys = self._site.options.api_keys
        if keys and key not in keys:
            raise Problem(401, "invalid API key")
        if keys and route.right not in keys[key]:
            raise Problem(403, "this API key may not do that")


async def _play_out(answer: Answer) -> None:
    """Let an answer in pieces have its effect, though nobody is to hear it."""
    if not isinstance(answer.body, bytes):
        answer.body = b"".join([piece async for piece in answer.body])


def _refusal(fault: Fault) -> Problem:
    status, words, code = _REFUSALS[fault.kind]
    wait = fault.delay_s or 1.0 if fault.kind in ("rate_limit", "capacity") else None
    return Problem(
        fault.status or status, fault.message or words, fault.code or code, retry_after=wait
    )


def _told(route: Route, problem: Problem) -> Answer:
    if route.plane == "store":
        return Answer(problem.status, problem.store_body(), {}, "application/xml")
    if route.plane == "graph":
        is_http = problem.status in (401, 403)
        return Answer.of(problem.graph_body(), problem.status if is_http else 200)
    is_control = route.plane == "management"
    body = problem.control_body() if is_control else problem.data_body()
    answer = Answer.of(body, problem.status)
    if problem.retry_after is not None:
        answer.headers["Retry-After"] = f"{problem.retry_after:g}"
    return answer


def _shown(route: Route, request: Request) -> Any:
    """Give the body for the record, without values that may be secrets."""
    if route.plane == "store":
        return None
    document = small_json(request.body)
    if route.operation == "secrets" and isinstance(document, dict):
        return {**document, "value": "****"}
    return _masked(document) if route.plane == "management" else document


def _masked(document: Any) -> Any:
    """Hide the values of variables in a pushed configuration."""
    if isinstance(document, list):
        return [_masked(each) for each in document]
    if not isinstance(document, dict):
        return document
    return {
        name: dict.fromkeys(inner, "****")
        if name == "environment_variables" and isinstance(inner, dict)
        else _masked(inner)
        for name, inner in document.items()
        if name != "raw_config"
    }
