"""Beam's answers about calls and workers as the seam's types. Pure.

Tasks: ``TaskWithRelated``; containers: ``ContainerState`` (gateway 0b79dfe); what a runner answers:
``endpoint.py`` of beta9 0.1.291. Read 2026-11-24.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import CallRef, CallState, EndpointStatus, Phase, Rollout, WorkerCounts
from gpuhub.errors import CallExpired, CallFailed, GpuHubError, RemoteError
from gpuhub_beam.errors import known, member
from gpuhub_beam.limits import live_limits

if TYPE_CHECKING:
    from gpuhub_beam.releases import Release

__all__ = [
    "REPLY",
    "TIMED_OUT",
    "answered",
    "endpoint_status",
    "remote_error",
    "task_state",
    "unwrapped",
]

REPLY = "gpuhub"
"""Member of a task's result that holds the envelope, as text."""
TIMED_OUT = "gpuhub_timeout"
"""What gpuhub's worker answers when a run was too long."""

_PHASES = {
    "PENDING": Phase.QUEUED,
    "RETRY": Phase.QUEUED,
    "RUNNING": Phase.RUNNING,
    "COMPLETE": Phase.SUCCEEDED,
    "ERROR": Phase.FAILED,
    "FAILED": Phase.FAILED,  # the documentation's word for ERROR
    "CANCELLED": Phase.CANCELLED,
    "TIMEOUT": Phase.TIMED_OUT,
    "EXPIRED": Phase.FAILED,
}


def task_state(call: CallRef, task: Mapping[str, Any]) -> CallState:
    """Give where a task is.

    Raises:
        MalformedResponse: The answer is none about a task.
    """
    status = member(task, "status", str)
    phase = known(_PHASES, status, f"the task {call.id}")
    created, started, ended = (_seconds(task.get(f"{when}_at")) for when in _MOMENTS)
    facts: dict[str, Any] = {
        "detail": str(task.get("failure_reason") or ""),
        "worker": str(task.get("container_id") or "") or None,
        "queued_s": _between(created, started),
        "run_s": _between(started, ended),
    }
    if phase is Phase.SUCCEEDED:
        return _succeeded(call, task.get("result"), facts)
    problem = _problem(call, status, facts["detail"]) if phase is Phase.FAILED else None
    return CallState(call, phase, error=problem, **facts)


_MOMENTS = ("created", "started", "ended")


def _seconds(text: Any) -> float | None:
    if isinstance(text, Mapping):  # Go's NullTime without a serializer
        text = text.get("Time") if text.get("Valid") else None
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(0.0, end - start)


def _succeeded(call: CallRef, result: Any, facts: Mapping[str, Any]) -> CallState:
    output = unwrapped(result)
    if output == b"null":
        # Beam's queue drops results that count as false; gpuhub's worker never gives one.
        problem = CallFailed(
            "the call ended, but Beam keeps no result of it",
            call_id=str(call),
            provider="beam",
            next_step="give the workspace object storage: Beam keeps results there",
        )
        return CallState(call, Phase.FAILED, error=problem, **facts)
    if (seconds := _too_long(output)) is not None:
        return CallState(call, Phase.TIMED_OUT, **{**facts, "detail": f"after {seconds:g} s"})
    return CallState(call, Phase.SUCCEEDED, output=output, **facts)


def unwrapped(result: Any) -> bytes:
    """Give the envelope out of a task's result; anything else as it is."""
    if isinstance(result, Mapping) and set(result) == {REPLY} and isinstance(result[REPLY], str):
        return str(result[REPLY]).encode()
    return json.dumps(result, ensure_ascii=False).encode()


def _too_long(output: bytes) -> float | None:
    if not output.startswith(b'{"gpuhub_timeout"'):
        return None
    found = json.loads(output)
    seconds = (found.get(TIMED_OUT) or {}).get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else None


def answered(call: CallRef, body: bytes) -> CallState:
    """Give the state of a request that was answered with 200."""
    if (seconds := _too_long(body)) is not None:
        return CallState(call, Phase.TIMED_OUT, detail=f"after {seconds:g} s")
    return CallState(call, Phase.SUCCEEDED, output=body)


def _problem(call: CallRef, status: str, reason: str) -> GpuHubError:
    facts = {"call_id": str(call), "provider": "beam"}
    words = f": {reason}" if reason else ""
    if status == "EXPIRED":
        return CallExpired(
            f"the call waited in the queue until Beam dropped it{words}; it has not run",
            next_step="raise max_workers, or options.beam.ttl",
            **facts,
        )
    return CallFailed(
        f"the task failed at Beam{words or ': its container died, or the runner could not go on'}",
        next_step="look at `gpuhub logs`: the function itself reported nothing",
        **facts,
    )


def remote_error(call: CallRef, trace: str) -> RemoteError:
    """Give the error of a function that gpuhub did not deploy: Beam answers its traceback."""
    last = trace.rstrip().rpartition("\n")[2]
    kind, _, text = last.partition(": ")
    return RemoteError(
        f"the function raised {last}",
        error_type=kind,
        error_message=text,
        remote_traceback=trace,
        call_id=str(call),
        provider="beam",
        status=500,
    )


# ------------------------------------------------------------------------------------ status


def endpoint_status(
    release: Release | None, containers: Any, waiting: int | None
) -> EndpointStatus:
    """Give workers and rollout.

    Args:
        release: The version asked about; ``None``: it is gone.
        containers: Those of the workspace.
        waiting: Calls that wait or run; Beam counts them together.

    Raises:
        MalformedResponse: An answer is not what the gateway documents.
    """
    entries: Sequence[Mapping[str, Any]] = member({"list": containers}, "list", list)
    if release is None:
        return EndpointStatus(rollout=Rollout.STOPPED, detail="it was deleted at Beam")
    stubs = {part.stub for part in release.parts}
    own = [entry for entry in entries if entry.get("stub_id") in stubs]
    return EndpointStatus(
        rollout=_rollout(release, own),
        version=release.id,
        workers=_counts(own),
        queue_depth=waiting,
        scaling=live_limits(release.main.config),
        detail=_detail(release, own),
    )


def _counts(containers: Sequence[Mapping[str, Any]]) -> WorkerCounts:
    states = [entry.get("status") for entry in containers]
    return WorkerCounts(starting=states.count("PENDING"), running=states.count("RUNNING"))


def _least(release: Release) -> int:
    scaler = release.main.config.get("autoscaler") or {}
    return int(scaler.get("min_containers") or 0)


def _rollout(release: Release, containers: Sequence[Mapping[str, Any]]) -> Rollout:
    """A version without warm workers takes calls at once, cold; one with them when one is up."""
    if not release.main.active:
        return Rollout.STOPPED
    warm = [each for each in containers if each.get("stub_id") == release.main.stub]
    is_up = any(each.get("status") == "RUNNING" for each in warm)
    return Rollout.READY if is_up or not _least(release) else Rollout.IN_PROGRESS


def _detail(release: Release, containers: Sequence[Mapping[str, Any]]) -> str:
    if not release.main.active:
        return "the version is stopped; deploy again, or roll back to it"
    starting = sum(entry.get("status") == "PENDING" for entry in containers)
    if starting and _least(release):
        return f"{starting} containers are starting"
    return ""
