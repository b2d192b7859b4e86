"""Baseten's answers as the seam's types. Pure.

Members: ``DeploymentV1``, ``EnvironmentV1`` and ``DeploymentStatusV1`` of the management document,
``AsyncRequestStatusResponse`` of the inference document; read 2026-11-24.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gpuhub.adapter import (
    CallRef,
    CallState,
    DeploymentRef,
    EndpointStatus,
    Phase,
    Rollout,
    Version,
    WorkerCounts,
)
from gpuhub.errors import CallExpired, CallFailed, CallTimedOut, GpuHubError
from gpuhub_baseten.autoscaling import live_limits
from gpuhub_baseten.capabilities import NO_RESULT
from gpuhub_baseten.errors import known, member
from gpuhub_baseten.wire import Place

__all__ = [
    "async_state",
    "deployment_ref",
    "endpoint_status",
    "is_ours",
    "labels_of",
    "rollout_of",
    "serves",
    "version_of",
]

CHANGED = "changed-at-the-provider"
"""In the place of a fingerprint: the limits in force are not those that were deployed."""
NOT_SERVING = "not-serving-yet"
"""The same, of a deployment that no environment has taken up so far."""

_LABEL = "gpuhub_"
_ROLLOUTS = {
    "BUILDING": Rollout.IN_PROGRESS,
    "DEPLOYING": Rollout.IN_PROGRESS,
    "LOADING_MODEL": Rollout.IN_PROGRESS,
    "UPDATING": Rollout.IN_PROGRESS,
    "ACTIVE": Rollout.READY,
    "SCALED_TO_ZERO": Rollout.READY,
    "WAKING_UP": Rollout.READY,
    "UNHEALTHY": Rollout.READY,
    "BUILD_FAILED": Rollout.FAILED,
    "BUILD_STOPPED": Rollout.FAILED,
    "DEPLOY_FAILED": Rollout.FAILED,
    "FAILED": Rollout.FAILED,
    "DEACTIVATING": Rollout.STOPPED,
    "INACTIVE": Rollout.STOPPED,
}
_ADVICE = {
    "UNHEALTHY": "the health check fails: look at `gpuhub logs`",
    "INACTIVE": "it was deactivated: deploy again, or activate it in Baseten's pages",
    "DEACTIVATING": "it is being deactivated",
}
_PHASES = {
    "QUEUED": Phase.QUEUED,
    "IN_PROGRESS": Phase.RUNNING,
    "SUCCEEDED": Phase.SUCCEEDED,
    "WEBHOOK_FAILED": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
    "CANCELED": Phase.CANCELLED,
    "EXPIRED": Phase.EXPIRED,
}


# ------------------------------------------------------------------------------- deployments


def labels_of(deployment: Mapping[str, Any]) -> dict[str, str]:
    """Give gpuhub's own labels of a deployment, without their mark."""
    labels = deployment.get("labels") or {}
    return {
        name.removeprefix(_LABEL): str(value)
        for name, value in labels.items()
        if name.startswith(_LABEL)
    }


def is_ours(deployment: Mapping[str, Any] | None) -> bool:
    """Whether gpuhub made a deployment."""
    return bool(deployment and labels_of(deployment).get("fingerprint"))


def rollout_of(deployment: Mapping[str, Any]) -> Rollout:
    """Tell where a deployment is.

    Raises:
        MalformedResponse: Its state is none that Baseten documents.
    """
    status = member(deployment, "status", str)
    return known(_ROLLOUTS, status, f"the deployment {deployment.get('id')}")


def serves(deployment: Mapping[str, Any] | None) -> bool:
    """Whether a deployment could take calls, though it may have to start a replica."""
    return deployment is not None and rollout_of(deployment) is Rollout.READY


def deployment_ref(
    place: Place,
    name: str,
    deployment: Mapping[str, Any],
    *,
    url: str,
    settings: Mapping[str, Any] | None = None,
    fingerprint: str | None = None,
) -> DeploymentRef:
    """Give the identity of what serves.

    Args:
        place: Where.
        name: Of the model.
        deployment: Which of its deployments.
        url: Address for HTTP requests.
        settings: Autoscaling settings in force, to tell whether they are the deployed ones.
        fingerprint: Of the plan; ``None``: what the deployment says.
    """
    labels = labels_of(deployment)
    if fingerprint is None:
        fingerprint = labels.get("fingerprint", "")
        if settings is not None and not _as_declared(labels, settings):
            fingerprint = CHANGED
    facts = ("kind", "concurrency", "webhook", "max_time_in_queue")
    return DeploymentRef(
        provider="baseten",
        name=name,
        address=place.address,
        version=member(deployment, "id", str),
        fingerprint=fingerprint,
        url=url,
        made_by_gpuhub=is_ours(deployment),
        data={fact: labels[fact] for fact in facts if fact in labels},
    )


def _as_declared(labels: Mapping[str, str], settings: Mapping[str, Any]) -> bool:
    try:
        declared = json.loads(labels.get("limits", "{}"))
    except ValueError:
        return True
    return all(settings.get(name) == value for name, value in declared.items())


def version_of(deployment: Mapping[str, Any], current: str) -> Version:
    """Give a deployment as a version."""
    name = member(deployment, "id", str)
    words = [str(deployment.get("name") or ""), str(deployment.get("status") or "").lower()]
    return Version(
        name,
        created_at=created_at(deployment),
        current=name == current,
        fingerprint=labels_of(deployment).get("fingerprint", ""),
        detail=", ".join(filter(None, words)),
    )


def created_at(deployment: Mapping[str, Any]) -> float | None:
    """Give when a deployment was made, in seconds since the epoch."""
    try:
        return datetime.fromisoformat(str(deployment.get("created_at"))).timestamp()
    except ValueError:
        return None


# ------------------------------------------------------------------------------------ status


def endpoint_status(
    environment: Mapping[str, Any] | None, watched: Mapping[str, Any]
) -> EndpointStatus:
    """Give replicas and rollout.

    Args:
        environment: What serves there; ``None``: the watched deployment serves by itself.
        watched: The deployment that is asked about, usually the newest.
    """
    current = watched if environment is None else environment.get("current_deployment")
    rollout = _rollout(environment, current, watched)
    shown = current or watched
    status = str(shown.get("status"))
    settings = (environment or {}).get("autoscaling_settings") or shown.get("autoscaling_settings")
    return EndpointStatus(
        rollout=rollout,
        version=str(current["id"]) if current else "",
        workers=_workers(shown),
        scaling=live_limits(settings),
        detail=_detail(environment, watched, rollout, status),
    )


def _rollout(
    environment: Mapping[str, Any] | None,
    current: Mapping[str, Any] | None,
    watched: Mapping[str, Any],
) -> Rollout:
    """A deployment is rolled out when its environment has taken it up.

    One that is older than what serves was replaced meanwhile, by whomever: what serves counts.
    """
    found = rollout_of(watched)
    if environment is None or (current and current.get("id") == watched.get("id")):
        return found
    if found is Rollout.FAILED:
        return found
    promotion = environment.get("in_progress_promotion") or {}
    if promotion.get("status") in ("FAILED", "CANCELED"):
        return Rollout.FAILED
    was_replaced = current and (created_at(watched) or 0.0) < (created_at(current) or 0.0)
    if was_replaced and current is not None and not environment.get("candidate_deployment"):
        return rollout_of(current)
    return Rollout.IN_PROGRESS


def _workers(deployment: Mapping[str, Any]) -> WorkerCounts:
    """Baseten tells the number of active replicas, and not which of them work."""
    count = member(deployment, "active_replica_count", int)
    status = deployment.get("status")
    if status == "UNHEALTHY":
        return WorkerCounts(unhealthy=count)
    starting = 1 if status in ("WAKING_UP", "LOADING_MODEL") and not count else 0
    return WorkerCounts(idle=count, starting=starting)


def _detail(
    environment: Mapping[str, Any] | None,
    watched: Mapping[str, Any],
    rollout: Rollout,
    status: str,
) -> str:
    if rollout is Rollout.READY:
        return _ADVICE.get(status, "")
    promotion = (environment or {}).get("in_progress_promotion") or {}
    words = str(promotion.get("error_message") or "")
    stage = str(watched.get("status", "")).lower().replace("_", " ")
    advice = _ADVICE.get(str(watched.get("status")), "")
    return "; ".join(filter(None, [f"Baseten says: {stage}", words, advice]))


# ------------------------------------------------------------------------------------- calls


def async_state(call: CallRef, answer: Mapping[str, Any]) -> CallState:
    """Give where an ``async_predict`` is; what it came to, its webhook alone was told.

    Raises:
        MalformedResponse: The answer is none about a request.
    """
    status = member(answer, "status", str)
    phase = known(_PHASES, status, f"the request {call.id}")
    problems = [each for each in answer.get("errors") or () if isinstance(each, dict)]
    words = "; ".join(f"{each.get('code')}: {each.get('message')}" for each in problems)
    error: GpuHubError | None = None
    if phase is Phase.SUCCEEDED:
        error = _sent_away(call, status, words)
    elif phase is Phase.FAILED:
        codes = {each.get("code") for each in problems}
        error = _failure(call, words, timed_out="MODEL_PREDICT_TIMEOUT" in codes)
    return CallState(call, phase, error=error, detail=words)


def _sent_away(call: CallRef, status: str, words: str) -> CallExpired:
    how = "could not be delivered to its webhook" if status == "WEBHOOK_FAILED" else ""
    return CallExpired(
        f"the call has ended, and its result {how or 'went to its webhook'}: {words or NO_RESULT}",
        call_id=str(call),
        provider="baseten",
        next_step="take it from what receives the webhook",
    )


def _failure(call: CallRef, words: str, *, timed_out: bool) -> CallFailed:
    kind = CallTimedOut if timed_out else CallFailed
    return kind(
        f"the call failed at Baseten: {words or 'it gives no reason'}",
        call_id=str(call),
        provider="baseten",
        next_step="look at `gpuhub logs`",
    )
