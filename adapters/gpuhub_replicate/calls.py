"""Predictions: submitting them at most once, and following them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import CallOptions, CallState, CancelReceipt, Phase
from gpuhub.errors import BadRequest, CallFailed, UnsupportedSetting
from gpuhub_replicate import wire
from gpuhub_replicate.errors import document
from gpuhub_replicate.outputs import saved
from gpuhub_replicate.states import DEPLOYMENTS, call_state
from gpuhub_replicate.targets import WARM, body_of, path_of, speaks_envelopes

if TYPE_CHECKING:
    from gpuhub.adapter import CallRef, DeploymentRef, Io
    from gpuhub_replicate.defaults import Defaults

__all__ = ["begin", "cancel", "poll", "submit", "warm"]

_WARM_PAUSE_S = 1.0


async def begin(io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions) -> dict[str, Any]:
    """Post one prediction, never twice, and give Replicate's answer."""
    body = await body_of(io, ref, payload, options)
    return document(await io.send(wire.predict(path_of(ref), body, options)))


async def submit(
    io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions, defaults: Defaults
) -> CallState:
    """Post one prediction; its answer may be its end already."""
    state = call_state(ref.address, await begin(io, ref, payload, options))
    return await _with_files(io, state, defaults)


async def poll(io: Io, call: CallRef, defaults: Defaults) -> CallState:
    """Ask about a prediction."""
    answer = document(await io.send(wire.get_prediction(call.id)))
    return await _with_files(io, call_state(call.deployment, answer), defaults)


async def cancel(io: Io, call: CallRef) -> CancelReceipt:
    """Stop a prediction. A state in the answer that is final is Replicate's own word."""
    try:
        answer = document(await io.send(wire.cancel(call.id)))
    except BadRequest:  # one that has ended may be refused
        answer = document(await io.send(wire.get_prediction(call.id)))
    if call_state(call.deployment, answer).phase.is_terminal:
        return CancelReceipt.CONFIRMED_TERMINAL
    return CancelReceipt.PROVIDER_ACK


async def warm(io: Io, ref: DeploymentRef) -> None:
    """Run a prediction that only starts a worker, to its end.

    Raises:
        UnsupportedSetting: It does not run gpuhub's runner, which alone knows such a call.
        CallFailed: It ended otherwise.
    """
    if not speaks_envelopes(ref):
        raise UnsupportedSetting(
            f"{ref.name!r} cannot be warmed: only versions that gpuhub made know such a call",
            fields=("warm",),
            provider="replicate",
            next_step="raise min_workers of a deployment for a while: `gpuhub scale`",
        )
    state = call_state(ref.address, await begin(io, ref, WARM, CallOptions()))
    while not state.phase.is_terminal:
        await io.sleep(_WARM_PAUSE_S)
        answer = document(await io.send(wire.get_prediction(state.ref.id)))
        state = call_state(ref.address, answer)
    if state.phase is not Phase.SUCCEEDED:
        raise state.error or CallFailed(
            f"the call that starts a worker ended as {state.phase.value}: {state.detail}",
            call_id=str(state.ref),
            provider="replicate",
            next_step="look at its log: `gpuhub logs`",
        )


async def _with_files(io: Io, state: CallState, defaults: Defaults) -> CallState:
    """Save files of a model's result, where a folder for them is set."""
    folder = defaults.output_folder
    is_ours = state.ref.deployment.startswith(DEPLOYMENTS)
    if folder is None or is_ours or state.phase is not Phase.SUCCEEDED:
        return state
    result = json.loads(state.output or b"null")
    kept = await saved(io, result, folder, state.ref.id, defaults.delivery_url)
    return replace(state, output=json.dumps(kept, ensure_ascii=False).encode())
