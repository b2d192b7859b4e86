"""The ASGI application: who asks for what, whether they may, and what is to go wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator import Fault, RequestLog
from gpuhub.testing.emulator.front import finish, live, recorded, small_json
from gpuhub.testing.emulator.web import Receive, Send, read_request
from gpuhub_runpod.emulator.problems import Problem
from gpuhub_runpod.emulator.quotas import Gate
from gpuhub_runpod.emulator.routes import Route, Routes
from gpuhub_runpod.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.site import Site

__all__ = ["Service"]

_REFUSALS: Mapping[str, tuple[int, str, str | None]] = {
    "rate_limit": (429, "too many requests", None),
    "capacity": (503, "no machine with such a card is free", "no_capacity"),
    "server_error": (500, "internal error", None),
    "unauthorized": (401, "invalid or expired bearer token", None),
}
"""Faults that refuse a request before it has any effect. RunPod itself reports missing capacity by
throttled workers only; the answer for ``capacity`` is what a client must expect of a gateway."""


class Service:
    """Answers all requests.

    Args:
        site: What all parts share.
        routes: Who handles what.
    """

    def __init__(self, site: Site, routes: Routes) -> None:
        self._site = site
        self._routes = routes
        self._gates: dict[str, Gate] = {}

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, or live along with the server."""
        if scope["type"] == "lifespan":
            await live(self._site, receive, send)
            return
        request = await read_request(scope, receive, Request)
        route, arguments = self._routes.find(request)
        fault = self._note(route, request)
        headers: dict[str, str] = {}
        try:
            self._authorize(route, request)
            if fault is not None and fault.kind in _REFUSALS:
                raise _refusal(fault)
            headers = self._count(route, request)
            request.fault = fault
            answer = await route.handle(request, *arguments)
        except Problem as problem:
            answer = _told(route, problem)
        answer.headers.update(headers)
        await finish(send, answer, fault)

    def _note(self, route: Route, request: Request) -> Fault | None:
        """Record a request of a client's, and give what is to go wrong with it."""
        if route.plane == "worker":
            self._record(self._site.worker_requests, route.operation, request)
            return None
        operation = route.name_of(request)
        self._record(self._site.requests, operation, request)
        return self._site.faults.take(operation)

    def _record(self, log: RequestLog, operation: str, request: Request) -> None:
        log.add(recorded(self._site, request, operation, _shown(request)))

    def _authorize(self, route: Route, request: Request) -> None:
        """Check the key.

        Raises:
            Problem: 401 without a known one, 403 when it may not do this.
        """
        given = request.headers.get("authorization", "")
        if route.plane == "worker":
            if given != self._site.worker_key:
                raise Problem(401, "not a worker's key")
            return
        scheme, _, key = given.partition(" ")
        if route.plane == "data" and not key:
            key = scheme  # jobs may be sent with the bare key, too
        elif scheme.lower() != "bearer" or not key:
            raise Problem(401, "missing bearer token")
        if not key:
            raise Problem(401, "missing bearer token")
        keys = self._site.options.api_keys
        if keys and key not in keys:
            raise Problem(401, "invalid or expired bearer token")
        if keys and route.right(request) not in keys[key]:
            raise Problem(403, "access denied")

    def _count(self, route: Route, request: Request) -> dict[str, str]:
        quota = self._site.options.control_quota
        if quota is None or route.plane != "control":
            return {}
        key = request.headers.get("authorization", "")
        gate = self._gates.setdefault(key, Gate(quota, self._site.timeline.now))
        with gate.passing():
            return gate.headers()


def _refusal(fault: Fault) -> Problem:
    status, words, code = _REFUSALS[fault.kind]
    wait = fault.delay_s or 1.0 if fault.kind in ("rate_limit", "capacity") else None
    return Problem(
        fault.status or status,
        fault.message or words,
        retry_after=wait,
        code=fault.code or code,
    )


def _told(route: Route, problem: Problem) -> Answer:
    is_control = route.plane == "control"
    body = problem.control_body() if is_control else problem.data_body()
    answer = Answer.of(body, problem.status)
    if is_control:
        answer.content_type = "application/problem+json"
    if problem.retry_after is not None:
        answer.headers["Retry-After"] = f"{problem.retry_after:g}"
    return answer


def _shown(request: Request) -> Any:
    """Give the body for the record, without the values of variables: they may be secrets."""
    document = small_json(request.body)
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("env"), dict):
        document["env"] = dict.fromkeys(document["env"], "****")
    if "password" in document:
        document["password"] = "****"  # noqa: S105 - that it is none is the point
    return document
