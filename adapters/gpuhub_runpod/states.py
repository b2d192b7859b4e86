"""RunPod's answers as the seam's types. Pure.

Job states and members: "Job states" and "Send requests" of RunPod's documentation; endpoints,
workers and releases: ``Endpoint``, ``Worker`` and ``ListEndpointWorkersResponse`` of the REST v2
document. Read 2026-11-20.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gpuhub.adapter import (
    CallRef,
    CallState,
    DeploymentRef,
    EndpointStatus,
    Phase,
    Rollout,
    WorkerCounts,
)
from gpuhub.errors import CallFailed, GpuHubError, RemoteError
from gpuhub_runpod.diagnosis import diagnose
from gpuhub_runpod.differences import includes
from gpuhub_runpod.errors import known, member
from gpuhub_runpod.limits import live_limits

__all__ = [
    "call_state",
    "deployment_ref",
    "endpoint_status",
    "fingerprint_of",
    "is_ours",
    "rollout_of",
]

_PHASES = {
    "IN_QUEUE": Phase.QUEUED,
    "IN_PROGRESS": Phase.RUNNING,
    "RUNNING": Phase.RUNNING,
    "COMPLETED": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
    "CANCELLED": Phase.CANCELLED,
    "TIMED_OUT": Phase.TIMED_OUT,
}


# ------------------------------------------------------------------------------------- calls


def call_state(endpoint: str, answer: Mapping[str, Any]) -> CallState:
    """Give where a job is.

    Raises:
        MalformedResponse: The answer is none about a job.
    """
    call = CallRef("runpod", endpoint, member(answer, "id", str))
    status = member(answer, "status", str)
    phase = known(_PHASES, status, f"the job {call.id}")
    output = None
    if phase is Phase.SUCCEEDED:
        output = json.dumps(answer.get("output"), ensure_ascii=False).encode()
    problem = _problem(call, answer) if phase is Phase.FAILED else None
    return CallState(
        call,
        phase,
        output=output,
        error=problem,
        detail=_words(answer.get("error")),
        worker=answer.get("workerId"),
        queued_s=_seconds(answer.get("delayTime")),
        run_s=_seconds(answer.get("executionTime")),
    )


def _seconds(milliseconds: Any) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, int | float) else None


def _words(error: Any) -> str:
    if error is None:
        return ""
    return error if isinstance(error, str) else json.dumps(error)


def _problem(call: CallRef, answer: Mapping[str, Any]) -> GpuHubError:
    """Give the error of a failed job; RunPod's SDK writes an exception as JSON text."""
    words = _words(answer.get("error"))
    facts = {"provider": "runpod", "call_id": str(call)}
    if (found := _exception(words)) is not None:
        kind = str(found["error_type"]).removeprefix("<class '").removesuffix("'>")
        text = str(found.get("error_message", ""))
        return RemoteError(
            f"the worker failed with {kind}: {text}",
            error_type=kind,
            error_message=text,
            remote_traceback=str(found.get("error_traceback", "")),
            **facts,
        )
    return CallFailed(
        f"the job failed at RunPod: {words or 'it gives no reason'}",
        next_step="look at the worker's log: `gpuhub logs`, or RunPod's console",
        **facts,
    )


def _exception(words: str) -> dict[str, Any] | None:
    try:
        found = json.loads(words)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "error_type" in found else None


# ------------------------------------------------------------------------------- deployments


CHANGED = "changed-at-the-provider"
"""In the place of a fingerprint: somebody, or RunPod itself, changed the limits."""


def is_ours(endpoint: Mapping[str, Any]) -> bool:
    """Whether gpuhub made an endpoint."""
    return "GPUHUB_FINGERPRINT" in (endpoint.get("env") or {})


def fingerprint_of(endpoint: Mapping[str, Any]) -> str:
    """Give the fingerprint of the plan, or :data:`CHANGED` when its limits are no longer in force.

    Then the next deploy is no no-op, and puts them back. Not empty: that would say that the
    provider keeps no fingerprints, and the journal's would stand in.
    """
    env = endpoint.get("env") or {}
    kept = str(env.get("GPUHUB_FINGERPRINT", ""))
    return kept if includes(endpoint, _declared(env)) or not kept else CHANGED


def _declared(env: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = json.loads(env.get("GPUHUB_LIMITS", "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def deployment_ref(
    endpoint: Mapping[str, Any], version: str, *, fingerprint: str | None = None
) -> DeploymentRef:
    """Give the identity of an endpoint.

    Args:
        endpoint: RunPod's description.
        version: Its configuration version.
        fingerprint: Of the plan; ``None``: what the endpoint says.

    Raises:
        MalformedResponse: It is no description of an endpoint.
    """
    address = member(endpoint, "id", str)
    env = endpoint.get("env") or {}
    declared = _declared(env).get("workers") or endpoint.get("workers") or {}
    facts = {
        "type": endpoint.get("type", "QUEUE"),
        "timeout_ms": endpoint.get("timeout"),
        "ttl_ms": env.get("GPUHUB_TTL_MS"),
        "max_workers": declared.get("max"),
    }
    return DeploymentRef(
        provider="runpod",
        name=_name(endpoint),
        address=address,
        version=version,
        fingerprint=fingerprint_of(endpoint) if fingerprint is None else fingerprint,
        url=_url(endpoint),
        made_by_gpuhub=is_ours(endpoint),
        data={name: str(value) for name, value in facts.items() if value is not None},
    )


def _name(endpoint: Mapping[str, Any]) -> str:
    """The name; older ones may carry a mark of FlashBoot."""
    return str(member(endpoint, "name", str)).removesuffix(" -fb")


def _url(endpoint: Mapping[str, Any]) -> str | None:
    urls = endpoint.get("requestUrls") or {}
    if base := urls.get("base"):
        return str(base)
    run = str(urls.get("run") or "")
    return run.removesuffix("/run") or None


# ------------------------------------------------------------------------------------ status


def endpoint_status(
    ref: DeploymentRef,
    endpoint: Mapping[str, Any],
    listing: Mapping[str, Any],
    health: Mapping[str, Any] | None,
) -> EndpointStatus:
    """Give workers, queue and rollout.

    Args:
        ref: The deployment.
        endpoint: Its description.
        listing: Its workers.
        health: Its jobs; ``None`` for a load-balancing endpoint.

    Raises:
        MalformedResponse: An answer is not what RunPod documents.
    """
    workers: Sequence[Mapping[str, Any]] = member(listing, "workers", list)
    counts = _counts(workers)
    jobs = member(health, "jobs", dict) if health is not None else {}
    limits = member(endpoint, "workers", dict)
    rollout = rollout_of(limits, workers)
    queue = jobs.get("inQueue")
    version = listing.get("endpointVersion")
    return EndpointStatus(
        rollout=rollout,
        version=ref.version if version is None else str(version),
        workers=counts,
        queue_depth=queue,
        in_flight=jobs.get("inProgress"),
        scaling=live_limits(endpoint),
        detail=diagnose(ref, endpoint, workers, queue or 0),
    )


def _counts(workers: Sequence[Mapping[str, Any]]) -> WorkerCounts:
    states = [worker.get("status") for worker in workers]
    return WorkerCounts(
        starting=states.count("INITIALIZING"),
        idle=states.count("IDLE"),
        running=states.count("RUNNING"),
        throttled=states.count("THROTTLED"),
        unhealthy=states.count("UNHEALTHY"),
    )


def rollout_of(limits: Mapping[str, Any], workers: Sequence[Mapping[str, Any]]) -> Rollout:
    """Tell whether the newest version takes jobs.

    Old workers that are busy finish their job and take no further one, so they are not waited for.
    """
    if limits.get("max") == 0:
        return Rollout.STOPPED
    current = [worker.get("status") for worker in workers if not worker.get("isStale")]
    ready = "IDLE" in current or "RUNNING" in current
    if "UNHEALTHY" in current and not ready:
        return Rollout.FAILED
    waiting = any(
        worker.get("isStale") and worker.get("status") in ("IDLE", "INITIALIZING")
        for worker in workers
    )
    if waiting or (limits.get("min", 0) > 0 and not ready):
        return Rollout.IN_PROGRESS
    return Rollout.READY
