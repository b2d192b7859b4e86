"""Replicate's answers as the seam's types. Pure.

Predictions: "Get a prediction" and "Prediction lifecycle"; the state ``aborted`` and the member
``deadline`` came with the header ``Cancel-After`` in October 2025. Read 2026-11-20.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gpuhub.adapter import CallRef, CallState, Phase
from gpuhub.errors import CallFailed, CallTimedOut, GpuHubError, RemoteError
from gpuhub_replicate.envelopes import whole_envelope
from gpuhub_replicate.errors import known, member
from gpuhub_replicate.schema import INPUT

__all__ = ["DEPLOYMENTS", "TOO_LONG", "call_state", "seconds_of"]

DEPLOYMENTS = "deployments/"
"""Addresses of gpuhub's own deployments begin so: their answers are envelopes."""
TOO_LONG = "gpuhub: the call ran longer than its timeout"
"""What ``run.py`` ends a call with at its limit."""

_PHASES = {
    "starting": Phase.QUEUED,
    "processing": Phase.RUNNING,
    "succeeded": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
    "canceled": Phase.CANCELLED,
    "aborted": Phase.CANCELLED,
}
_PLATFORM = re.compile(r"\(code: [A-Z]{1,2}[A-Z0-9]*\)")
_EXCEPTION = re.compile(r"(?:^|: )([A-Za-z_][\w.]*(?:Error|Exception|Interrupt)): (.*)", re.DOTALL)
_TOLERANCE_S = 1.0


def call_state(deployment: str, answer: Mapping[str, Any]) -> CallState:
    """Give where a prediction is.

    Args:
        deployment: Address of what was called.
        answer: The prediction.

    Raises:
        MalformedResponse: It is no prediction.
    """
    call = CallRef("replicate", deployment, member(answer, "id", str))
    status = member(answer, "status", str)
    phase = known(_PHASES, status, f"the prediction {call.id}")
    is_ours = _runs_our_runner(deployment, answer)
    words = str(answer.get("error") or "")
    problem: GpuHubError | None = None
    output = None
    if phase is Phase.SUCCEEDED and answer.get("data_removed"):
        phase, words = Phase.EXPIRED, "Replicate removed its output, an hour after the end"
    elif phase is Phase.SUCCEEDED:
        output = _output(deployment, answer, is_ours=is_ours)
    elif phase is Phase.CANCELLED and _reached_deadline(answer):
        phase, problem = Phase.TIMED_OUT, _late(call, status, answer)
    elif phase is Phase.FAILED and TOO_LONG in words:
        phase, words = Phase.TIMED_OUT, words[words.index(TOO_LONG) :]
    elif phase is Phase.FAILED:
        problem = _problem(call, words, is_ours=is_ours or deployment.startswith(DEPLOYMENTS))
    queued, ran = _durations(answer.get("metrics"))
    return CallState(
        call, phase, output=output, error=problem, detail=words, queued_s=queued, run_s=ran
    )


def _runs_our_runner(deployment: str, answer: Mapping[str, Any]) -> bool:
    given = answer.get("input")
    if given is None:
        return deployment.startswith(DEPLOYMENTS)
    return isinstance(given, Mapping) and set(given) == {INPUT}


def _output(deployment: str, answer: Mapping[str, Any], *, is_ours: bool) -> bytes:
    """Give the envelope, or the bare output where nobody expects one."""
    found = answer.get("output")
    envelope = whole_envelope(found) if is_ours else None
    if envelope is not None:
        return envelope
    if deployment.startswith(DEPLOYMENTS):
        found = {"result": found}
    return json.dumps(found, ensure_ascii=False).encode()


def _reached_deadline(answer: Mapping[str, Any]) -> bool:
    deadline = seconds_of(answer.get("deadline"))
    ended = seconds_of(answer.get("completed_at"))
    return deadline is not None and ended is not None and ended >= deadline - _TOLERANCE_S


def _late(call: CallRef, status: str, answer: Mapping[str, Any]) -> CallTimedOut:
    where = "before it started" if status == "aborted" else "while it ran"
    return CallTimedOut(
        f"Replicate ended the call {where}, at the deadline of its budget"
        f" ({answer.get('deadline')})",
        provider="replicate",
        call_id=str(call),
        next_step="give it more time: .with_options(timeout=…); a cold start counts too",
    )


def _problem(call: CallRef, words: str, *, is_ours: bool) -> GpuHubError:
    """Give the error of a failed prediction.

    gpuhub's own worker answers what the user's code raises, so that a failure there is the
    platform's. Of another model it is the model's, unless Replicate says one of its codes.
    """
    facts = {"provider": "replicate", "call_id": str(call)}
    if not is_ours and not _PLATFORM.search(words):
        found = _EXCEPTION.search(words)
        return RemoteError(
            f"the model failed: {words or 'it gives no reason'}",
            error_type=found[1] if found else "PredictionFailed",
            error_message=found[2] if found else words,
            next_step="check the inputs; the prediction's log says more: replicate.com/predictions",
            **facts,
        )
    return CallFailed(
        f"the prediction failed at Replicate: {words or 'it gives no reason'}",
        next_step="look at its log: `gpuhub logs`; call again if running twice does no harm",
        **facts,
    )


def _durations(metrics: Any) -> tuple[float | None, float | None]:
    """Give seconds of waiting and of running."""
    if not isinstance(metrics, Mapping):
        return None, None
    ran, total = metrics.get("predict_time"), metrics.get("total_time")
    if not isinstance(ran, int | float):
        return None, None
    waited = max(0.0, total - ran) if isinstance(total, int | float) else None
    return waited, float(ran)


def seconds_of(text: Any) -> float | None:
    """Read an RFC 3339 time; ``None`` when it is none."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
