"""Answers RPCs: who asks for what, whether they may, and what is to go wrong."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator import Fault, RecordedRequest, masked_headers
from gpuhub_modal.emulator.problems import Refused
from gpuhub_modal.emulator.rpc import Asked, Route, routes_of

if TYPE_CHECKING:
    from gpuhub_modal.emulator.containers import Container
    from gpuhub_modal.emulator.site import Site

__all__ = ["Service"]

_REFUSALS: Mapping[str, tuple[str, str]] = {
    "rate_limit": ("RESOURCE_EXHAUSTED", "Rate limit exceeded"),
    "capacity": ("RESOURCE_EXHAUSTED", "No capacity: no container with such a GPU can be placed"),
    "server_error": ("INTERNAL", "Internal error"),
    "unauthorized": ("UNAUTHENTICATED", "Token ID or secret is invalid"),
}
"""Faults that refuse a request before it has any effect. Modal itself queues inputs when it has no
capacity; the answer for ``capacity`` is what a client must expect all the same."""

_KEPT_ANSWERS = 10_000
_GARBAGE = b"<html><body>Bad gateway</body></html>"
_TASK_HEADER = "x-gpuhub-task"
_READS = frozenset({"find", "list", "logs", "poll", "status", "versions", "download"})


class Service:
    """All RPCs.

    Args:
        site: What all parts share.
        planes: Objects with methods that answer RPCs.
        container: Gives a container by its id.
    """

    def __init__(
        self, site: Site, planes: Iterable[object], container: Callable[[str], Container | None]
    ) -> None:
        self._site = site
        self._container = container
        self.routes: dict[str, Route] = {route.name: route for route in routes_of(planes)}
        self._answers: OrderedDict[tuple[str, str], Any] = OrderedDict()

    def answers(self) -> dict[str, Callable[[Any], Any]]:
        """Give a coroutine function for each RPC, as grpclib's server calls it."""
        return {name: self._answering(route) for name, route in self.routes.items()}

    def _answering(self, route: Route) -> Callable[[Any], Any]:
        streams = self._site.wire.streams(route.name)

        async def answer(stream: Any) -> None:
            message = await stream.recv_message()
            headers = {name: str(value) for name, value in (stream.metadata or {}).items()}
            asked = Asked(message, headers)
            try:
                fault = self._admit(route, asked)
                if streams:
                    await self._stream(route, asked, stream)
                else:
                    await self._reply(route, asked, stream, fault)
            except Refused as refused:
                raise self._site.wire.error(refused) from None

        return answer

    def _admit(self, route: Route, asked: Asked) -> Fault | None:
        """Note a request, check who asks, and give what is to go wrong with it."""
        asked.container = self._asking_container(asked.headers)
        if asked.container is not None:
            self._record(self._site.container_requests, route, asked)
            return None
        self._record(self._site.requests, route, asked)
        self._authorize(route, asked.headers)
        fault = self._site.faults.take(route.name) or self._site.faults.take(route.operation)
        if fault is not None and fault.kind in _REFUSALS:
            raise self._refusal(fault)
        asked.fault = fault
        return fault

    def _record(self, log: Any, route: Route, asked: Asked) -> None:
        log.add(
            RecordedRequest(
                operation=route.operation,
                method="GET" if route.operation in _READS else "rpc",
                path=f"/{route.name}",
                headers=masked_headers(asked.headers),
                json=self._site.wire.shown(asked.message),
                size=asked.message.ByteSize(),
                at=self._site.timeline.now(),
            )
        )

    def _asking_container(self, headers: Mapping[str, str]) -> Container | None:
        key, _, task_id = headers.get(_TASK_HEADER, "").partition("/")
        if not task_id:
            return None
        container = self._container(task_id)
        if key != self._site.container_key or container is None:
            raise Refused("UNAUTHENTICATED", "not a container of this emulator")
        return container

    def _authorize(self, route: Route, headers: Mapping[str, str]) -> None:
        token_id = headers.get("x-modal-token-id", "")
        secret = headers.get("x-modal-token-secret", "")
        if route.caller == "container":
            raise Refused("PERMISSION_DENIED", f"{route.name} is for containers")
        if not token_id or not secret:
            raise Refused("UNAUTHENTICATED", "Token missing. Could not authenticate client.")
        tokens = self._site.options.tokens
        if tokens and tokens.get(token_id) != secret:
            raise Refused("UNAUTHENTICATED", "Token ID or secret is invalid")

    def _refusal(self, fault: Fault) -> Refused:
        status, words = _REFUSALS[fault.kind]
        details = []
        if fault.kind == "rate_limit":
            after_s = fault.delay_s or 1.0
            details.append(self._site.pb.RPCRetryPolicy(retry_after_secs=after_s))
        return Refused(fault.code or status, fault.message or words, *details)

    async def _reply(self, route: Route, asked: Asked, stream: Any, fault: Fault | None) -> None:
        answer = await self._answer(route, asked)
        kind = None if fault is None else fault.kind
        if kind == "lost_response":
            _drop_connection(stream)
        elif kind == "malformed":
            await _send_garbage(stream)
        else:
            await stream.send_message(answer)

    async def _answer(self, route: Route, asked: Asked) -> Any:
        """Answer, or repeat the answer to what was asked before under the same key."""
        key = (route.name, asked.headers.get("x-idempotency-key", ""))
        if not key[1] or route.operation in _READS or asked.container is not None:
            return await route.handle(asked)
        if key in self._answers:
            return self._answers[key]
        answer = await route.handle(asked)
        self._answers[key] = answer
        if len(self._answers) > _KEPT_ANSWERS:
            self._answers.popitem(last=False)
        return answer

    async def _stream(self, route: Route, asked: Asked, stream: Any) -> None:
        async for answer in route.handle(asked):
            await stream.send_message(answer)


def _drop_connection(stream: Any) -> None:
    """Cut the connection a request came over, as a failing network does."""
    stream._stream._transport.abort()  # noqa: SLF001 - grpclib has no word for it


async def _send_garbage(stream: Any) -> None:
    """Send what is no message of Modal's."""
    await stream.send_initial_metadata()
    head = struct.pack("?", False) + struct.pack(">I", len(_GARBAGE))
    await stream._stream.send_data(head + _GARBAGE)  # noqa: SLF001 - see above
    stream._send_message_done = True  # noqa: SLF001 - so that the end of the answer is sent
