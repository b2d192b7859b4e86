"""What a call's end means to the caller: states and failures to errors, pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub.adapter import CancelReceipt, Phase
from gpuhub.errors import (
    CallCancelled,
    CallExpired,
    CallFailed,
    CallTimedOut,
    OutcomeUnknown,
    PayloadTooLarge,
)

if TYPE_CHECKING:
    from gpuhub._engine.calls import CallSettings
    from gpuhub.adapter import AdapterInfo, CallRef, CallState, DeploymentRef
    from gpuhub.errors import GpuHubError, ProviderError

_RECEIPTS = {
    CancelReceipt.CONFIRMED_TERMINAL: "the remote call has ended",
    CancelReceipt.PROVIDER_ACK: "the provider accepted the cancel",
    CancelReceipt.CHANNEL_CLOSED: "its connection was closed; it may still run",
    CancelReceipt.NO_EVIDENCE: "the cancel could not be confirmed; it may still run",
}


def succeeded(state: CallState) -> CallState:
    """An ended call that has an answer.

    Raises:
        CallFailed: It ended without one.
    """
    if state.phase is Phase.SUCCEEDED and state.output is not None:
        return state
    if state.error is not None:
        raise state.error
    raise _failure(state)


def _failure(state: CallState) -> GpuHubError:
    detail = f": {state.detail}" if state.detail else ""
    facts = {"provider": state.ref.provider, "call_id": str(state.ref)}
    if state.phase is Phase.CANCELLED:
        return CallCancelled(f"the call was cancelled{detail}", **facts)
    if state.phase is Phase.TIMED_OUT:
        return CallTimedOut(
            f"the provider ended the call: it ran longer than its timeout{detail}",
            next_step="raise `timeout` in the decorator and deploy again, or split the work",
            **facts,
        )
    if state.phase is Phase.EXPIRED:
        return CallExpired(
            f"the provider no longer keeps this call{detail}",
            next_step="fetch results sooner; `gpuhub providers` shows how long each keeps them",
            **facts,
        )
    return CallFailed(
        f"the call failed at the provider{detail}",
        next_step="look at `gpuhub logs`: the function itself reported nothing",
        **facts,
    )


def lost_answer(ref: DeploymentRef, key: str, error: ProviderError) -> OutcomeUnknown:
    """A submit that may or may not have arrived."""
    msg = f"the call to {ref.name!r} may or may not have run: {error.message}"
    return OutcomeUnknown(
        msg,
        idempotency_key=key,
        provider=ref.provider,
        status=error.status,
        code=error.code,
        request_id=error.request_id,
        next_step="check for its effects before sending it again, or declare idempotent=True if "
        "running twice does no harm",
    )


def cut_off(ref: DeploymentRef, settings: CallSettings, error: ProviderError) -> CallTimedOut:
    """A submit still waiting for its answer at the end of the budget; its connection is closed."""
    receipt = CancelReceipt.CHANNEL_CLOSED
    msg = f"the call to {ref.name!r} did not end within {settings.budget_s:g} s"
    return CallTimedOut(
        f"{msg}: {_RECEIPTS[receipt]}",
        cancel=receipt.value,
        provider=ref.provider,
        request_id=error.request_id,
        next_step="give it more time: .with_options(timeout=…); a cold start counts too",
    )


def lost_call(call: CallRef, error: ProviderError) -> OutcomeUnknown:
    """An accepted call that can no longer be asked about."""
    msg = f"the call was accepted, but its state cannot be read: {error.message}"
    return OutcomeUnknown(
        msg,
        call_id=str(call),
        provider=call.provider,
        status=error.status,
        code=error.code,
        request_id=error.request_id,
        next_step=f"try again later: gpuhub.Call.from_id({str(call)!r}).result()",
    )


def took_too_long(call: CallRef, budget: float | None, receipt: CancelReceipt) -> CallTimedOut:
    """A call cancelled at the end of the caller's budget."""
    return CallTimedOut(
        f"the call did not end within {budget:g} s and was cancelled: {_RECEIPTS[receipt]}",
        cancel=receipt.value,
        call_id=str(call),
        provider=call.provider,
        next_step="give it more time: .with_options(timeout=…); a cold start counts too",
    )


def waited_too_long(call: CallRef, timeout: float | None) -> CallTimedOut:
    """A wait that ended before the call."""
    return CallTimedOut(
        f"the call had not ended after {timeout:g} s; it goes on",
        call_id=str(call),
        provider=call.provider,
        next_step="call .result() again, or .cancel() it",
    )


def too_large(info: AdapterInfo, size: int, limit: int, *, spawned: bool) -> PayloadTooLarge:
    """Arguments that the provider would refuse, found before sending."""
    how = "a spawned call" if spawned else "a call"
    return PayloadTooLarge(
        f"the arguments are {size:,} bytes; {info.title} takes at most {limit:,} for {how}",
        provider=info.name,
        next_step='pass a reference instead, or set payload_store = "s3://…" in gpuhub.toml',
    )
