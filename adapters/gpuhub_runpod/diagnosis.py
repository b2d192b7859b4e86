"""Why a deployment does not answer, in words, with what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef

__all__ = ["diagnose"]


def diagnose(
    ref: DeploymentRef,
    endpoint: Mapping[str, Any],
    workers: Sequence[Mapping[str, Any]],
    queued: int,
) -> str:
    """Give what stands out, the gravest first; empty when all is well.

    Args:
        ref: The deployment, with the limits that were declared.
        endpoint: RunPod's description of it.
        workers: Its workers.
        queued: Jobs that wait.
    """
    limits = endpoint.get("workers") or {}
    return "; ".join(
        filter(None, [_limit(ref, limits), _workers(endpoint, workers, queued), _stale(workers)])
    )


def _limit(ref: DeploymentRef, limits: Mapping[str, Any]) -> str:
    most = limits.get("max")
    declared = ref.data.get("max_workers")
    put_back = "`gpuhub scale` or a deploy puts it back"
    if most == 0:
        return (
            f"paused: workers.max is 0, as RunPod sets it after 7 days without a call; {put_back}"
        )
    if declared is not None and isinstance(most, int) and most < int(declared):
        return (
            f"workers.max is {most}, declared were {declared}: RunPod lowers it after 3 idle days"
            f" and when workers crash; {put_back}"
        )
    return ""


def _workers(endpoint: Mapping[str, Any], workers: Sequence[Mapping[str, Any]], queued: int) -> str:
    states = [worker.get("status") for worker in workers]
    if "RUNNING" in states or "IDLE" in states:
        return ""
    if "UNHEALTHY" in states:
        return (
            f"workers of the image {endpoint.get('image')} are unhealthy: it cannot be pulled, or"
            " its start command fails; read `gpuhub logs`"
        )
    if "THROTTLED" in states:
        return f"throttled: no free {_hardware(endpoint)}; allow another GPU or more regions"
    if "INITIALIZING" in states:
        return "a worker is starting: it pulls its image, or the start command is running"
    if queued and (endpoint.get("workers") or {}).get("max"):
        return (
            f"{queued} calls wait and there is no worker: no free {_hardware(endpoint)}, or the"
            " account's limit of workers is used up"
        )
    return "" if queued else "scaled to zero: the next call starts a worker"


def _hardware(endpoint: Mapping[str, Any]) -> str:
    gpu = endpoint.get("gpu")
    what = ", ".join(gpu.get("pools", ())) if gpu else "CPU"
    places = ", ".join(endpoint.get("dataCenterIds") or ())
    return f"{what} in {places}" if places else what


def _stale(workers: Sequence[Mapping[str, Any]]) -> str:
    old = sum(bool(worker.get("isStale")) for worker in workers)
    return f"{old} of {len(workers)} workers still run an older version" if old else ""
