"""Calls: sent once with gpuhub's key, followed by id, streamed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import CallOptions, CallRef, CallState, CancelReceipt, Phase
from gpuhub.errors import (
    BadRequest,
    CallTimedOut,
    NotFound,
    ProviderUnavailable,
    UnsupportedSetting,
)
from gpuhub.plan import Retry
from gpuhub_modal.entry import WARM
from gpuhub_modal.facts import CallRequest, Output
from gpuhub_modal.plain import pickled
from gpuhub_modal.states import call_state, is_foreign, stream_item

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, Io
    from gpuhub_modal.session import Session

__all__ = ["Calls"]

_ENDS = (b'{"gpuhub_end":', b'{"gpuhub_error":')


class Calls:
    """The calls of one workspace.

    Args:
        session: The client.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def submit(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        """Send one call; its end is polled for."""
        # Modal's client itself runs again what is waited for; it keeps what is not.
        kept = not options.wait_s or not ref.made_by_gpuhub or ref.data["retries"] != "0"
        kind = "async" if kept else "sync"
        if ref.data["kind"] == "generator":
            raise _misused(ref, "gives a stream", "stream it")
        call = await self._start(io, ref, payload, kind, options)
        return CallState(call, Phase.QUEUED)

    async def warm(self, io: Io, ref: DeploymentRef) -> None:
        """Start a container with a call that ends before the user's function."""
        if not ref.made_by_gpuhub:
            raise _misused(ref, "was not made by gpuhub", "call it")
        kind = "stream" if ref.data["kind"] == "generator" else "async"
        await self._start(io, ref, WARM, kind, CallOptions())

    async def poll(self, io: Io, call: CallRef, wait_s: float) -> CallState:
        """Ask about a call; may wait for its end."""
        output = await io.ask(partial(self._session.output, call.id, wait_s))
        state = call_state(call, output)
        if state.phase is not Phase.QUEUED or wait_s:
            return state
        if await io.ask(partial(self._session.has_begun, call.id)):
            return CallState(call, Phase.RUNNING)
        return state

    async def cancel(self, io: Io, call: CallRef) -> CancelReceipt:
        """Cancel a call, and see whether it has ended."""
        await io.ask(partial(self._session.cancel, call.id))
        state = call_state(call, await io.ask(partial(self._session.output, call.id, 0.0)))
        if state.phase.is_terminal:
            return CancelReceipt.CONFIRMED_TERMINAL
        return CancelReceipt.PROVIDER_ACK

    async def stream(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> AsyncIterator[bytes]:
        """Send one call and yield what it yields. Leaving early cancels it."""
        foreign = not ref.made_by_gpuhub
        if ref.data["kind"] != "generator":
            async for chunk in self._single(io, ref, payload, options):
                yield chunk
            return
        call = await self._start(io, ref, payload, "stream", options)

        def is_last(data: bytes) -> bool:
            return not foreign and any(end in data[:64] for end in _ENDS)

        items = io.iterate(partial(self._session.items, call.id, is_last))
        try:
            async for item in items:
                if isinstance(item, Output):
                    raise _broken_off(call, item)
                yield stream_item(item, foreign=foreign)
        finally:
            await items.aclose()  # type: ignore[attr-defined]

    async def _single(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> AsyncIterator[bytes]:
        """Give a function's result as a stream of one item."""
        state = await self.submit(io, ref, payload, options)
        try:
            while not state.phase.is_terminal:
                state = await self.poll(io, state.ref, 30.0)
        finally:
            if not state.phase.is_terminal:
                await self.cancel(io, state.ref)
        if state.output is None:
            raise state.error or _broken_off(state.ref, Output(exception=state.phase.value))
        yield state.output
        if ref.made_by_gpuhub and state.output.startswith(b'{"result":'):
            yield json.dumps({"gpuhub_end": {"items": 1, "wire": 1}}).encode()

    async def _start(
        self, io: Io, ref: DeploymentRef, payload: bytes, kind: str, options: CallOptions
    ) -> CallRef:
        if ref.data["kind"] == "web":
            raise _misused(ref, "is a web function", f"ask its address: {ref.url}")
        request = CallRequest(
            ref.data["function_id"], _arguments(ref, payload), kind, options.idempotency_key
        )

        async def sent(request: CallRequest) -> str:
            start = partial(self._session.start, request)
            return await io.ask(start, retry=Retry.REFUSED_ONLY)

        try:
            call_id = await sent(request)
        except NotFound:
            # The app was stopped and deployed again, elsewhere: its function has another id.
            app, function = ref.data["app"], ref.data["function"]
            found = await io.ask(partial(self._session.function, app, function))
            if found.function_id == request.function_id:
                raise
            call_id = await sent(replace(request, function_id=found.function_id))
        return CallRef("modal", ref.address, call_id)


def _arguments(ref: DeploymentRef, payload: bytes) -> bytes:
    """Pickle the arguments: as they are for gpuhub's entry, by name for others."""
    if ref.made_by_gpuhub:
        return pickled((payload,), {})
    named: Any = json.loads(payload)
    if not isinstance(named, dict):
        raise BadRequest(
            f"the arguments of {ref.address} go by name, in a JSON object",
            provider="modal",
            next_step="pass them by name",
        )
    return pickled((), named)


def _misused(ref: DeploymentRef, why: str, instead: str) -> UnsupportedSetting:
    return UnsupportedSetting(
        f"{ref.address} {why} at Modal",
        fields=(ref.data["kind"],),
        provider="modal",
        next_step=instead,
    )


def _broken_off(call: CallRef, output: Output) -> Exception:
    """The error for a stream that ended before it said so."""
    if output.status == "TIMEOUT":
        return CallTimedOut(
            "Modal ended the stream: it ran longer than its timeout",
            call_id=str(call),
            provider="modal",
            next_step="raise `timeout` in the decorator and deploy again",
        )
    state = call_state(call, output) if is_foreign(call.deployment) else None
    if state is not None and state.error is not None:
        return state.error
    return ProviderUnavailable(
        f"Modal: the stream broke off: {output.exception or output.status or 'no reason given'}",
        provider="modal",
        accepted=None,
        code=output.status or None,
        next_step="look at `gpuhub logs`",
    )
