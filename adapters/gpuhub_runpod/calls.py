"""Jobs: submitting them at most once, and following them."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import CallOptions, CallRef, CancelReceipt, Phase
from gpuhub.errors import (
    CallCancelled,
    CallFailed,
    CallTimedOut,
    GpuHubError,
    MalformedResponse,
    NotFound,
    OutcomeUnknown,
)
from gpuhub_runpod import wire
from gpuhub_runpod.errors import document, member
from gpuhub_runpod.states import call_state

if TYPE_CHECKING:
    from gpuhub.adapter import CallState, DeploymentRef, Io
    from gpuhub.plan import Request, Response

__all__ = ["Calls"]

_YOUNG_S = 30.0
_KEPT = 4096
_FIRST_WAIT_S = 0.5
_YOUNG_TRIES, _OTHER_TRIES = 6, 2
RESULT, END = "result", "gpuhub_end"
"""Members of gpuhub's envelopes, see ``gpuhub.worker.wire``."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0
_WARM_PAUSE_S = 1.0


class Calls:
    """The jobs of one workspace. Safe to share among threads."""

    def __init__(self) -> None:
        self._young: OrderedDict[CallRef, float] = OrderedDict()
        self._lock = threading.Lock()

    async def submit(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        """Send one job, never twice; its answer may be its end already."""
        wait_s = wire.sync_wait_s(options)
        if wait_s:
            request = wire.runsync(ref, payload, options, wait_s)
        else:
            request = wire.run(ref, payload, options)
        state = call_state(ref.address, document(await io.send(request)))
        self._note(state.ref, io.now())
        return state

    async def poll(self, io: Io, call: CallRef) -> CallState:
        """Ask about a job."""
        answer = document(await self._about(io, call, wire.get_status(call)))
        return call_state(call.deployment, {"id": call.id, **answer})

    async def cancel(self, io: Io, call: CallRef) -> CancelReceipt:
        """Stop a job. A state in the answer that is final is the provider's own word."""
        answer = document(await self._about(io, call, wire.cancel(call)))
        with suppress(MalformedResponse):
            if call_state(call.deployment, {"id": call.id, **answer}).phase.is_terminal:
                return CancelReceipt.CONFIRMED_TERMINAL
        return CancelReceipt.PROVIDER_ACK

    async def warm(self, io: Io, ref: DeploymentRef) -> None:
        """Run the job that only starts a worker."""
        options = CallOptions()
        answer = await io.send(wire.run(ref, wire.warm_payload(), options))
        state = call_state(ref.address, document(answer))
        self._note(state.ref, io.now())
        while not state.phase.is_terminal:
            await io.sleep(_WARM_PAUSE_S)
            state = await self.poll(io, state.ref)
        if state.phase is not Phase.SUCCEEDED:
            raise state.error or _ended(state.ref, state.phase)

    async def stream(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> AsyncIterator[bytes]:
        """Send one job and yield what its worker yields. Leaving early cancels it."""
        ends = None if options.budget_s is None else io.now() + options.budget_s * 0.95
        answer = document(await io.send(wire.run(ref, payload, options)))
        call = call_state(ref.address, answer).ref
        self._note(call, io.now())
        has_ended = False
        pause, seen = _FIRST_PAUSE_S, 0
        try:
            while not has_ended:
                answer = document(await self._about(io, call, wire.get_stream(call)))
                state = call_state(call.deployment, {"id": call.id, **answer})
                chunks = _chunks(answer)
                has_ended = state.phase.is_terminal and not chunks
                for chunk in chunks:
                    yield chunk
                seen += len(chunks)
                if has_ended:
                    _check_end(state, seen, is_ours=ref.made_by_gpuhub)
                    if not seen:
                        for chunk in _whole((await self.poll(io, call)).output):
                            yield chunk
                elif ends is not None and io.now() >= ends:
                    raise _too_long(call, options)
                elif not chunks:
                    await io.sleep(pause)
                    pause = min(pause * 1.5, _LONGEST_PAUSE_S)
                else:
                    pause = _FIRST_PAUSE_S
        finally:
            if not has_ended:
                with suppress(GpuHubError):
                    await self.cancel(io, call)

    def _note(self, call: CallRef, now: float) -> None:
        with self._lock:
            self._young[call] = now
            while len(self._young) > _KEPT:
                self._young.popitem(last=False)

    def _tries(self, call: CallRef, now: float) -> int:
        """How often a 404 is not believed: RunPod knows a job only some time after its submit.

        Another process may have submitted it just now, so those of others get a second chance.
        """
        with self._lock:
            submitted = self._young.get(call)
        if submitted is None:
            return _OTHER_TRIES
        return _YOUNG_TRIES if now - submitted < _YOUNG_S else 0

    async def _about(self, io: Io, call: CallRef, request: Request) -> Response:
        """Ask about a job, again while RunPod does not know it yet."""
        wait = _FIRST_WAIT_S
        for left in reversed(range(1 + self._tries(call, io.now()))):
            try:
                return await io.send(request)
            except NotFound:
                if not left:
                    raise
            await io.sleep(wait)
            wait *= 2
        raise AssertionError("unreachable: the last try returns or raises")


def _chunks(answer: dict[str, Any]) -> list[bytes]:
    items = member(answer, "stream", list) if answer.get("stream") is not None else []
    return [json.dumps(item.get("output"), ensure_ascii=False).encode() for item in items]


def _whole(output: bytes | None) -> list[bytes]:
    """Give the chunks of a job that streamed nothing: its result, if it is not a generator's."""
    found = json.loads(output or b"null")
    if found in (None, []):
        return []
    is_result = isinstance(found, dict) and set(found) == {RESULT}
    end = [json.dumps({END: {"items": 1, "wire": 1}}).encode()] if is_result else []
    return [output or b"", *end]


def _check_end(state: CallState, seen: int, *, is_ours: bool) -> None:
    """Raise what a stream ended with, if it was not its end.

    gpuhub's own worker answers errors of the function as a chunk, so a job of it that failed was
    cut: it may have had an effect.
    """
    if state.phase is Phase.SUCCEEDED:
        return
    if state.phase is Phase.FAILED and is_ours:
        raise OutcomeUnknown(
            f"the stream was cut after {seen} items: {state.detail or 'the job failed'}",
            call_id=str(state.ref),
            provider="runpod",
            next_step="use the items received, or call again if running twice does no harm",
        )
    raise state.error or _ended(state.ref, state.phase)


def _ended(call: CallRef, phase: Phase) -> CallFailed:
    kinds: dict[Phase, type[CallFailed]] = {
        Phase.CANCELLED: CallCancelled,
        Phase.TIMED_OUT: CallTimedOut,
    }
    kind = kinds.get(phase, CallFailed)
    return kind(
        f"the job ended as {phase.value}",
        call_id=str(call),
        provider="runpod",
        next_step="look at `gpuhub logs`; raise `timeout` if it needs longer",
    )


def _too_long(call: CallRef, options: CallOptions) -> CallTimedOut:
    return CallTimedOut(
        f"the stream did not end within {options.budget_s:g} s and is cancelled",
        cancel=CancelReceipt.PROVIDER_ACK.value,
        call_id=str(call),
        provider="runpod",
        next_step="give it more time: .with_options(timeout=…); a cold start counts too",
    )
