"""The ASGI application: who asks for what, whether they may, and what is to go wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator import Fault, RequestLog
from gpuhub.testing.emulator.front import finish, live, recorded, small_json
from gpuhub.testing.emulator.web import Receive, Send, read_request
from gpuhub_beam.emulator.planes.sockets import Handshake, Opened
from gpuhub_beam.emulator.problems import Problem
from gpuhub_beam.emulator.routes import Route, Routes
from gpuhub_beam.emulator.web import Answer, Request, send_while_there

if TYPE_CHECKING:
    from gpuhub_beam.emulator.site import Site

__all__ = ["Service"]

_REFUSALS: Mapping[str, tuple[int, str]] = {
    "rate_limit": (429, "exceeded max pending tasks: 0"),
    "capacity": (503, "No compute capacity for GPU type any."),
    "server_error": (500, "Internal server error"),
    "unauthorized": (401, "Invalid token"),
}
"""Faults that refuse a request before it has any effect. The gateway sends no ``Retry-After``; a
fault with a delay brings one, as a proxy in front of it may."""

_HIDDEN = ("value", "existingImageCreds", "existing_image_creds", "objectContent")


class Service:
    """Answers all requests.

    Args:
        site: What all parts share.
        routes: Who handles what.
    """

    def __init__(self, site: Site, routes: Routes) -> None:
        self._site = site
        self._routes = routes

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, or live along with the server."""
        if scope["type"] == "lifespan":
            await live(self._site, receive, send)
            return
        is_websocket = scope["type"] == "websocket"
        if is_websocket:
            scope, send = {**scope, "method": "GET"}, Handshake(send).send
        request = await read_request(scope, receive, Request)
        request.is_websocket = is_websocket
        route, arguments = self._routes.find(request)
        request.operation = route.operation
        fault = self._note(route, request)
        try:
            self._authorize(route, request)
            if fault is not None and fault.kind in _REFUSALS:
                raise _refusal(fault)
            request.fault = fault
            answer = await route.handle(request, *arguments)
        except Problem as problem:
            answer = _told(route, problem)
        if isinstance(answer, Opened):
            await answer.run(send)
            return
        await finish(send, answer, fault, partial(send_while_there, receive=receive))

    def _note(self, route: Route, request: Request) -> Fault | None:
        """Record a request of a client's, and give what is to go wrong with it."""
        if route.plane == "runner":
            self._record(self._site.worker_requests, route, request)
            return None
        self._record(self._site.requests, route, request)
        return self._site.faults.take(route.operation)

    def _record(self, log: RequestLog, route: Route, request: Request) -> None:
        is_rpc = request.path.startswith("/emulated-rpc/")
        shown = _shown(request, is_rpc=is_rpc)
        record = recorded(self._site, request, route.operation, shown)
        if is_rpc:
            record = replace(record, method="rpc", path=record.path.removeprefix("/emulated-rpc"))
        elif "Signature" in request.target:
            record = replace(record, path=request.raw_path)
        log.add(record)

    def _authorize(self, route: Route, request: Request) -> None:
        """Check the token.

        Raises:
            Problem: 401 without a known one.
        """
        if route.plane == "open":
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not token:
            token = request.asked("auth_token")
        elif scheme.lower() != "bearer":
            token = ""
        if token == self._site.worker_token:
            return
        known = self._site.options.tokens
        if route.plane == "runner" or not token or (known and token not in known):
            words = "Unauthorized" if not token else "Invalid token"
            raise Problem(401, words, "grpc" if route.voice == "grpc" else "message")


def _refusal(fault: Fault) -> Problem:
    status, words = _REFUSALS[fault.kind]
    wait = fault.delay_s if fault.kind in ("rate_limit", "capacity") else 0.0
    return Problem(fault.status or status, fault.message or words, retry_after=wait or None)


def _told(route: Route, problem: Problem) -> Answer:
    answer = Answer.of(problem.body(route.voice), problem.status)
    if problem.retry_after is not None:
        answer.headers["Retry-After"] = f"{problem.retry_after:g}"
    return answer


def _shown(request: Request, *, is_rpc: bool) -> Any:
    """Give the body for the record, without the values of variables: they may be secrets."""
    if request.path.startswith("/emulated-storage/"):
        return None
    document = small_json(request.body)
    if isinstance(document, dict) and is_rpc:
        document = document.get("request")
    if not isinstance(document, dict):
        return None
    for name in _HIDDEN:
        if name in document:
            document[name] = "****"
    for name in ("env", "envVars", "env_vars"):
        if isinstance(document.get(name), list):
            document[name] = [f"{str(each).partition('=')[0]}=****" for each in document[name]]
    return document
