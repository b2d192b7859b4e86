"""Worker limits: ``Scaling`` as RunPod's ``workers`` and ``scaling``, with their rows. Pure.

Fields: ``EndpointWorkers`` and ``EndpointScaling`` of the REST v2 document, and "Endpoint settings"
of RunPod's documentation, read 2026-11-20.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub.plan import Rows
    from gpuhub.scaling import Scaling

__all__ = ["DEFAULT_QUEUE_DELAY_S", "limits_body", "live_limits", "scaling_rows"]

DEFAULT_QUEUE_DELAY_S = 4.0
"""RunPod wants a scaler; this is the one its console proposes."""
_IDLE = (1, 3600)
_SHORTEST_DELAY_S = 0.5
_ONE_SCALER = "RunPod scales on either the wait in the queue or the calls per worker"
_NO_IDLE = (
    "RunPod refuses an idle timeout beside scaling on calls per worker (target_in_flight) for "
    "queue endpoints; its own window applies"
)
_CUT = (
    "RunPod lowers it by itself to 2 after 3 days without a call and to 0 after 7; a deploy or "
    "scale puts it back. New accounts may have 5 workers in all endpoints together"
)


def limits_body(scaling: Scaling, *, is_web: bool) -> dict[str, Any]:
    """Give ``workers`` and ``scaling``.

    ``idleTimeout`` is refused for a queue that scales on calls per worker, so it is left out there.
    """
    scaler = _scaler(scaling, is_web=is_web)
    workers = {"min": scaling.min_workers, "max": scaling.max_workers}
    if is_web or scaler["type"] == "QUEUE_DELAY":
        workers["idleTimeout"] = _idle(scaling)
    return {"workers": workers, "scaling": scaler}


def live_limits(endpoint: Mapping[str, Any]) -> dict[str, float]:
    """Read ``Scaling`` fields back from an endpoint, as far as it has them."""
    workers, scaler = endpoint.get("workers") or {}, endpoint.get("scaling") or {}
    found = {
        "min_workers": workers.get("min"),
        "max_workers": workers.get("max"),
        "idle_timeout": workers.get("idleTimeout"),
    }
    if endpoint.get("type") != "LOAD_BALANCER":
        found["target_in_flight"] = scaler.get("requestCount")
        found["scale_up_delay"] = scaler.get("queueDelay")
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def scaling_rows(rows: Rows, scaling: Scaling, *, is_web: bool, slots_note: str) -> None:
    """Answer for every field of ``scaling``.

    Args:
        rows: Where to.
        scaling: What was asked.
        is_web: Whether it is a load-balancing endpoint.
        slots_note: What the worker makes of ``concurrency``; empty: it is not gpuhub's worker.
    """
    warm = "billed around the clock" if scaling.min_workers else ""
    rows.exact("scaling.mode", "workers.min", scaling.min_workers, cost=warm)
    rows.exact("scaling.min_workers", "workers.min", scaling.min_workers, cost=warm)
    rows.exact("scaling.max_workers", "workers.max", scaling.max_workers, _CUT)
    if scaling.buffer_workers:
        rows.unsupported("scaling.buffer_workers", "RunPod has no buffer of idle workers")
    else:
        rows.unset("scaling.buffer_workers", "RunPod may add up to 2 workers by itself")
    _idle_row(rows, scaling, is_web=is_web)
    if slots_note:
        rows.exact("scaling.concurrency", "env.GPUHUB_CONCURRENCY", scaling.concurrency, slots_note)
    else:
        rows.unsupported("scaling.concurrency", "the worker in the image decides")
    _target_row(rows, scaling, is_web=is_web)
    _delay_row(rows, scaling, is_web=is_web)
    if scaling.scale_window is None:
        rows.unset("scaling.scale_window", "RunPod looks at the moment")
    else:
        rows.unsupported("scaling.scale_window", "RunPod averages over no window")


def _scaler(scaling: Scaling, *, is_web: bool) -> dict[str, Any]:
    target = scaling.target_in_flight
    if is_web:
        return {"type": "REQUEST_COUNT", "requestCount": target or scaling.concurrency}
    if target is not None and scaling.scale_up_delay is None:
        return {"type": "REQUEST_COUNT", "requestCount": target}
    delay = scaling.scale_up_delay
    seconds = DEFAULT_QUEUE_DELAY_S if delay is None else max(delay, _SHORTEST_DELAY_S)
    return {"type": "QUEUE_DELAY", "queueDelay": seconds}


def _idle(scaling: Scaling) -> int:
    return min(max(math.ceil(scaling.idle_timeout), _IDLE[0]), _IDLE[1])


def _idle_row(rows: Rows, scaling: Scaling, *, is_web: bool) -> None:
    field, native, cost = "scaling.idle_timeout", "workers.idleTimeout", "billed while it waits"
    if not is_web and _scaler(scaling, is_web=is_web)["type"] == "REQUEST_COUNT":
        rows.unsupported(field, _NO_IDLE)
    elif scaling.idle_timeout > _IDLE[1]:
        rows.unsupported(field, f"RunPod takes at most {_IDLE[1]} s, which is sent")
    elif _idle(scaling) != scaling.idle_timeout:
        rows.approximate(field, native, _idle(scaling), "RunPod takes whole seconds from 1", cost)
    else:
        rows.exact(field, native, _idle(scaling), cost=cost)


def _target_row(rows: Rows, scaling: Scaling, *, is_web: bool) -> None:
    field, native, target = "scaling.target_in_flight", "scaling.requestCount", _target(scaling)
    if is_web:
        rows.exact(field, native, target)
    elif scaling.target_in_flight is None:
        rows.unset(field, f"{_ONE_SCALER}; the wait is used")
    elif scaling.scale_up_delay is not None:
        rows.unsupported(field, f"{_ONE_SCALER}; scale_up_delay is set as well, and used")
    else:
        rows.exact(field, native, target)


def _target(scaling: Scaling) -> int:
    return scaling.target_in_flight or scaling.concurrency


def _delay_row(rows: Rows, scaling: Scaling, *, is_web: bool) -> None:
    field, native, delay = "scaling.scale_up_delay", "scaling.queueDelay", scaling.scale_up_delay
    scaler = _scaler(scaling, is_web=is_web)
    if is_web and delay is not None:
        rows.unsupported(field, "web functions have no queue: RunPod scales on calls per worker")
    elif scaler["type"] == "REQUEST_COUNT":
        rows.unset(field, "not used: it scales on calls per worker")
    elif delay is not None and delay < _SHORTEST_DELAY_S:
        rows.approximate(field, native, _SHORTEST_DELAY_S, "RunPod's shortest")
    else:
        rows.exact(field, native, scaler["queueDelay"])
