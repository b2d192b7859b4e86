"""The ASGI application: who asks for what, whether they may, and what is to go wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator import Fault
from gpuhub.testing.emulator.front import finish, live, recorded, small_json
from gpuhub.testing.emulator.web import Receive, Send, read_request
from gpuhub_replicate.emulator.options import QuotaKind
from gpuhub_replicate.emulator.problems import Problem, RegistryProblem, throttled
from gpuhub_replicate.emulator.quotas import Gate
from gpuhub_replicate.emulator.routes import Route, Routes
from gpuhub_replicate.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.site import Site

__all__ = ["Service"]

_UNAUTHENTICATED = "You did not pass a valid authentication token"
_NO_CREDIT = "You have insufficient credit to run this model."
_REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "capacity": (503, "There is no capacity to run this model now.", "No capacity"),
    "server_error": (500, "An internal error occurred.", "Internal server error"),
    "unauthorized": (401, _UNAUTHENTICATED, "Unauthenticated"),
}
"""Faults that refuse a request before it has any effect: status, detail, title. Replicate itself
queues what it has no capacity for; the answer for ``capacity`` is what a client must expect of a
gateway."""


class Service:
    """Answers all requests.

    Args:
        site: What all parts share.
        routes: Who handles what.
    """

    def __init__(self, site: Site, routes: Routes) -> None:
        self._site = site
        self._routes = routes
        self._gates: dict[tuple[str, QuotaKind], Gate] = {}

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, or live along with the server."""
        if scope["type"] == "lifespan":
            await live(self._site, receive, send)
            return
        request = await read_request(scope, receive, Request)
        route, arguments = self._routes.find(request)
        fault = self._note(route, request)
        try:
            self._authorize(route, request)
            if fault is not None and fault.kind == "rate_limit":
                raise throttled(round(fault.delay_s) or 1)
            if fault is not None and fault.kind in _REFUSALS:
                raise _refusal(fault, route)
            self._count(route, request)
            request.fault = fault
            answer = await route.handle(request, *arguments)
        except Problem as problem:
            answer = Answer.of(problem.body(), problem.status)
            answer.headers.update(problem.headers)
        await finish(send, answer, fault)

    def _note(self, route: Route, request: Request) -> Fault | None:
        """Record a request of a client's, and give what is to go wrong with it."""
        if route.plane == "worker" or route.operation == "download":
            return None  # workers follow such links, too
        operation = route.name_of(request)
        shown = _shown(route, request)
        self._site.requests.add(recorded(self._site, request, operation, shown))
        return self._site.faults.take(operation)

    def _authorize(self, route: Route, request: Request) -> None:
        """Check the token of the API; the registry does so itself.

        Raises:
            Problem: 401.
        """
        if route.plane != "api":
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        accepted = self._site.options.tokens
        is_known = bool(token) and (not accepted or token in accepted)
        if scheme.lower() not in ("bearer", "token") or not is_known:
            raise Problem(401, _UNAUTHENTICATED, title="Unauthenticated")

    def _count(self, route: Route, request: Request) -> None:
        quotas = self._site.options.quotas
        if not quotas or route.plane != "api":
            return
        kind: QuotaKind = "create" if route.operation == "submit" else "other"
        if kind not in quotas:
            return
        key = (request.headers.get("authorization", ""), kind)
        if key not in self._gates:
            quota = quotas[kind]
            self._gates[key] = Gate(quota.count, quota.window_s, self._site.timeline.now)
        self._gates[key].count()


def _refusal(fault: Fault, route: Route) -> Problem:
    status, words, title = _REFUSALS[fault.kind]
    if fault.status == 402:
        words, title = _NO_CREDIT, "Insufficient credit"
    if route.plane == "registry":
        code = fault.code or ("UNAUTHORIZED" if status == 401 else "UNKNOWN")
        return RegistryProblem(fault.status or status, code, fault.message or words)
    return Problem(fault.status or status, fault.message or words, title=title)


def _shown(route: Route, request: Request) -> Any:
    """Give the body for the record; what goes to the registry is no JSON, or holds variables."""
    return small_json(request.body) if route.plane in ("api", "open") else None
