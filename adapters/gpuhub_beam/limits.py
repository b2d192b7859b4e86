"""Worker limits: ``Scaling`` as Beam's autoscaler, keep-warm and concurrency, with rows. Pure.

Fields: ``GetOrCreateStubRequest`` (gateway.proto); what the gateway makes of them:
``normalizeKeepWarmSeconds``, ``endpointDeploymentScaleFunc`` and ``stopContainers`` of its source
(0b79dfe, 2026-08-19).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub.plan import Rows
    from gpuhub.scaling import Scaling
    from gpuhub_beam.kinds import Kind, Kinds

__all__ = ["SHORTEST_KEEP_WARM_S", "limits_body", "live_limits", "scaling_rows", "stub_fields"]

SHORTEST_KEEP_WARM_S = 10
"""The gateway raises anything between 0 and this to it."""


def limits_body(
    scaling: Scaling, kind: Kind, *, is_main: bool, max_replicas: int
) -> dict[str, Any]:
    """Give the members of one part's stub.

    Args:
        scaling: What was asked.
        kind: Beam's kind of the part.
        is_main: Whether it has the workers that are kept warm.
        max_replicas: What the gateway starts at most.
    """
    return {
        "keepWarmSeconds": keep_warm(scaling),
        "workers": scaling.concurrency if kind == "taskqueue" else 1,
        "concurrentRequests": scaling.concurrency if kind == "asgi" else 1,
        "autoscaler": {
            "type": "queue_depth",
            "maxContainers": min(scaling.max_workers, max_replicas),
            "tasksPerContainer": scaling.target_in_flight or scaling.concurrency,
            "minContainers": min(scaling.min_workers, max_replicas) if is_main else 0,
        },
    }


def keep_warm(scaling: Scaling) -> int:
    """Seconds, as the gateway would make them: whole, 0 or 10 and more."""
    seconds = math.ceil(scaling.idle_timeout)
    return max(seconds, SHORTEST_KEEP_WARM_S) if seconds else 0


def stub_fields(limits: Mapping[str, Any]) -> dict[str, Any]:
    """Give limits under the names of a stub's configuration: for reading and for ``PATCH``."""
    scaler = limits["autoscaler"]
    return {
        "autoscaler.max_containers": scaler["maxContainers"],
        "autoscaler.tasks_per_container": scaler["tasksPerContainer"],
        "autoscaler.min_containers": scaler["minContainers"],
        "keep_warm_seconds": limits["keepWarmSeconds"],
    }


def live_limits(config: Mapping[str, Any]) -> dict[str, float]:
    """Read ``Scaling`` fields back from a stub's configuration, as far as it has them."""
    scaler = config.get("autoscaler") or {}
    found = {
        "min_workers": scaler.get("min_containers"),
        "max_workers": scaler.get("max_containers"),
        "idle_timeout": config.get("keep_warm_seconds"),
    }
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def scaling_rows(
    rows: Rows, scaling: Scaling, body: Mapping[str, Any], kinds: Kinds, max_replicas: int
) -> None:
    """Answer for every field of ``scaling``.

    Args:
        rows: Where to.
        scaling: What was asked.
        body: The main part's stub.
        kinds: All parts.
        max_replicas: What the gateway starts at most.
    """
    scaler = body["autoscaler"]
    warm = "billed around the clock" if scaling.min_workers else ""
    two = len(kinds.parts) > 1
    kept = f"of the {kinds.main}; other parts start cold" if two else ""
    rows.exact("scaling.mode", "autoscaler.minContainers", scaler["minContainers"], kept, warm)
    rows.exact(
        "scaling.min_workers", "autoscaler.minContainers", scaler["minContainers"], kept, warm
    )
    _most_row(rows, scaling, scaler, kinds, max_replicas)
    if scaling.buffer_workers:
        rows.unsupported("scaling.buffer_workers", "Beam has no buffer of idle containers")
    else:
        rows.unset("scaling.buffer_workers", "Beam has no buffer of idle containers")
    _idle_row(rows, scaling)
    _concurrency_row(rows, scaling, kinds)
    rows.exact(
        "scaling.target_in_flight", "autoscaler.tasksPerContainer", scaler["tasksPerContainer"]
    )
    for field, why in {
        "scaling.scale_up_delay": "Beam starts containers for waiting calls at once",
        "scaling.scale_window": "Beam looks at the calls of the moment",
    }.items():
        if getattr(scaling, field.partition(".")[2]) is None:
            rows.unset(field, why)
        else:
            rows.unsupported(field, why)


def _most_row(
    rows: Rows, scaling: Scaling, scaler: Mapping[str, Any], kinds: Kinds, max_replicas: int
) -> None:
    field, native, most = "scaling.max_workers", "autoscaler.maxContainers", scaler["maxContainers"]
    if most < scaling.max_workers:
        why = f"the gateway starts at most {max_replicas} (max_replicas in [providers.beam])"
        rows.approximate(field, native, most, why)
    elif kinds.has_queue and kinds.main != "taskqueue":
        why = f"{kinds.main} and taskqueue may have so many each; options.beam.kind makes it one"
        rows.exact(field, native, most, why, "at most twice as many run, under both kinds of calls")
    else:
        rows.exact(field, native, most)


def _idle_row(rows: Rows, scaling: Scaling) -> None:
    field, native, seconds = "scaling.idle_timeout", "keepWarmSeconds", keep_warm(scaling)
    cost = "billed while it waits"
    if seconds != scaling.idle_timeout:
        why = "Beam takes whole seconds: 0, or 10 and more"
        rows.approximate(field, native, seconds, why, cost)
    else:
        rows.exact(field, native, seconds, cost=cost)


def _concurrency_row(rows: Rows, scaling: Scaling, kinds: Kinds) -> None:
    field, number = "scaling.concurrency", scaling.concurrency
    if number == 1:
        rows.exact(field, "workers", number)
        return
    native = "workers" if kinds.main == "taskqueue" else "concurrentRequests"
    reasons = []
    if kinds.main == "asgi":
        reasons.append("calls that are waited for share one process")
    if kinds.has_queue:
        reasons.append("spawned calls run in a process each, with its own copy of the model")
    if kinds.has_queue:
        rows.approximate(field, native, number, "; ".join(reasons))
    else:
        rows.exact(field, native, number, "; ".join(reasons))
