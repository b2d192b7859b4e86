"""Calls: a request that is answered at the end, one that is held, or one for a webhook."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

from gpuhub.adapter import CallOptions, CallRef, CallState, CancelReceipt, Phase
from gpuhub.errors import (
    GpuHubError,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    ProviderUnavailable,
)
from gpuhub_baseten import wire
from gpuhub_baseten.answers import StreamReader, output_of, says_timed_out
from gpuhub_baseten.capabilities import NO_RESULT
from gpuhub_baseten.errors import FROM_MODEL, document, member
from gpuhub_baseten.held import HeldCalls
from gpuhub_baseten.states import async_state

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, Io
    from gpuhub_baseten.defaults import Defaults

__all__ = ["Calls"]

_HELD = "held-"
_LOOK_S = 0.5
_LONG_REQUEST = (
    "Baseten ends a request after 1200 s, its cold start included; the function may still run"
)


class Calls:
    """The calls of one workspace. Safe to share among threads.

    Args:
        defaults: Where models are.
    """

    def __init__(self, defaults: Defaults) -> None:
        self._model = wire.ModelApi(defaults)
        self._held = HeldCalls()

    async def submit(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        """Send one call, never twice: its answer is its end, unless nobody waits."""
        if options.wait_s:
            return await self._predict(io, ref, payload, options)
        webhook = options.webhook or ref.data.get("webhook")
        if webhook is not None:
            return await self._async_predict(io, ref, payload, options, webhook)
        call = CallRef("baseten", ref.address, f"{_HELD}{uuid.uuid4().hex}")
        self._held.start(call, lambda: self._hold(io, call, ref, payload, options))
        return CallState(call, Phase.QUEUED)

    async def poll(self, io: Io, call: CallRef, wait_s: float) -> CallState:
        """Ask about a spawned call.

        Raises:
            NotFound: Another process held it, or Baseten forgot it.
        """
        if not call.id.startswith(_HELD):
            return async_state(call, document(await io.send(self._model.get_async(call))))
        state = await self._held.state(io, call, min(wait_s, _LOOK_S))
        if state is None:
            raise _not_held(call)
        if wait_s or state.phase.is_terminal:
            return state
        if await self._has_no_replica(io, call):
            state = replace(state, phase=Phase.QUEUED)
        return state

    async def cancel(self, io: Io, call: CallRef) -> CancelReceipt:
        """Stop a spawned call, as far as that can be done."""
        if call.id.startswith(_HELD):
            receipt = await self._held.cancel(io, call)
            return CancelReceipt.NO_EVIDENCE if receipt is None else receipt
        await io.send(self._model.cancel_async(call))
        state = await self.poll(io, call, 0.0)
        ended = state.phase.is_terminal
        return CancelReceipt.CONFIRMED_TERMINAL if ended else CancelReceipt.NO_EVIDENCE

    async def stream(self, io: Io, ref: DeploymentRef, payload: bytes) -> AsyncIterator[bytes]:
        """Send one call and yield what comes. Leaving early closes the connection."""
        reader = StreamReader(is_ours=ref.made_by_gpuhub)
        data = io.stream(self._model.stream(wire.place_of(ref.address), payload))
        try:
            async for piece in data:
                for chunk in reader.feed(piece):
                    yield chunk
            for chunk in reader.end():
                yield chunk
        finally:
            await data.aclose()  # type: ignore[attr-defined]

    async def wake(self, io: Io, ref: DeploymentRef) -> None:
        """Start a replica without a call."""
        await io.send(self._model.wake(wire.place_of(ref.address)))

    def close(self) -> None:
        """Give up what is held."""
        self._held.close()

    async def _predict(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        started = io.now()
        request = self._model.predict(wire.place_of(ref.address), payload)
        try:
            response = await io.send(request)
        except ProviderUnavailable as error:
            if not _is_cut(error, io.now() - started, options.budget_s):
                raise
            call = _call(ref, error.request_id or options.idempotency_key)
            return CallState(call, Phase.TIMED_OUT, detail=_LONG_REQUEST)
        call = _call(ref, response.headers.get("x-baseten-request-id") or options.idempotency_key)
        output = output_of(response, is_ours=ref.made_by_gpuhub)
        if ref.made_by_gpuhub and says_timed_out(output):
            return CallState(call, Phase.TIMED_OUT, detail="gpuhub's worker stopped it")
        return CallState(call, Phase.SUCCEEDED, output=output)

    async def _async_predict(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions, webhook: str
    ) -> CallState:
        queue_s = ref.data.get("max_time_in_queue")
        place = wire.place_of(ref.address)
        request = self._model.async_predict(place, payload, options, webhook, queue_s)
        answer = document(await io.send(request))
        return CallState(_call(ref, member(answer, "request_id", str)), Phase.QUEUED)

    async def _hold(
        self, io: Io, call: CallRef, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        try:
            return replace(await self._predict(io, ref, payload, options), ref=call)
        except GpuHubError as error:
            return CallState(call, Phase.FAILED, error=_told(call, error, options))

    async def _has_no_replica(self, io: Io, call: CallRef) -> bool:
        """Whether a held call cannot have begun, since nothing is there to run it."""
        place = wire.place_of(call.deployment)
        if place.deployment:
            shown = document(await io.send(wire.get_deployment(place.model, place.deployment)))
        else:
            known = document(await io.send(wire.get_environment(place.model, place.environment)))
            shown = known.get("current_deployment") or {}
        return shown.get("active_replica_count") == 0


def _call(ref: DeploymentRef, name: str) -> CallRef:
    return CallRef("baseten", ref.address, name)


def _is_cut(error: ProviderUnavailable, elapsed: float, budget: float | None) -> bool:
    """Whether Baseten's gateway gave up waiting, before the caller did."""
    is_gateway = error.status == 504 and not (error.code or "").startswith(FROM_MODEL)
    return is_gateway and (budget is None or elapsed < budget)


def _told(call: CallRef, error: GpuHubError, options: CallOptions) -> GpuHubError:
    """Give the error of a held call, of which ``spawn`` was told nothing."""
    if not isinstance(error, ProviderError) or error.accepted is not None:
        return error
    return OutcomeUnknown(
        f"the call may or may not have run: {error.message}",
        idempotency_key=options.idempotency_key,
        call_id=str(call),
        provider="baseten",
        status=error.status,
        code=error.code,
        request_id=error.request_id,
        next_step="check for its effects before sending it again; a spawned call is not repeated"
        " by itself on Baseten, not even with idempotent=True",
    )


def _not_held(call: CallRef) -> NotFound:
    return NotFound(
        f"the call {call.id} was held by another process, or has been forgotten: {NO_RESULT}",
        provider="baseten",
        next_step="ask the process that spawned it, or set the option `webhook` of the function",
    )
