"""Worker limits: ``Scaling`` as Replicate's instances, with their rows. Pure.

``min_instances`` and ``max_instances`` of "Create a deployment" (OpenAPI document, read
2026-11-20), which bounds them by 5 and 20. Clients made since give no bounds, so that more is a
warning here, and Replicate's to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub.plan import Rows
    from gpuhub.scaling import Scaling

__all__ = ["PUBLISHED", "bounds_warnings", "instances", "live_limits", "scaling_rows"]

PUBLISHED = {"min_instances": 5, "max_instances": 20}
"""Most that the OpenAPI document allows."""
_NO_AUTOSCALER = "Replicate's autoscaler has no settings: it watches the queue"
_IDLE = "Replicate stops idle instances after a few minutes of its own choice"


def instances(scaling: Scaling) -> dict[str, int]:
    """Give the limits as Replicate takes them."""
    return {"min_instances": scaling.min_workers, "max_instances": scaling.max_workers}


def live_limits(configuration: Mapping[str, Any]) -> dict[str, float]:
    """Read the limits in force."""
    found = {
        "min_workers": configuration.get("min_instances"),
        "max_workers": configuration.get("max_instances"),
    }
    return {name: value for name, value in found.items() if isinstance(value, int)}


def bounds_warnings(scaling: Scaling) -> tuple[str, ...]:
    """Say which limits are above what is published."""
    return tuple(
        f"scaling: {name} {value} is above {PUBLISHED[name]}, the most that Replicate publishes;"
        " it may refuse it"
        for name, value in instances(scaling).items()
        if value > PUBLISHED[name]
    )


def scaling_rows(rows: Rows, scaling: Scaling, env: str) -> None:
    """Answer for every field of ``scaling``.

    Args:
        rows: Where to.
        scaling: What was asked.
        env: Where the image's variables are in the plan; empty: gpuhub makes no image.
    """
    limits = instances(scaling)
    warm = "billed around the clock, with setup" if scaling.min_workers else ""
    for field in ("scaling.mode", "scaling.min_workers"):
        rows.exact(field, "min_instances", limits["min_instances"], cost=warm)
    rows.exact("scaling.max_workers", "max_instances", limits["max_instances"])
    if scaling.buffer_workers:
        rows.unsupported("scaling.buffer_workers", "Replicate has no buffer of idle instances")
    else:
        rows.unset("scaling.buffer_workers", "no idle instances beside the busy ones")
    cost = "idle time is billed until then, also above min_workers"
    asked = (
        f" (asked: {scaling.idle_timeout:g} s)"
        if "idle_timeout" in scaling.model_fields_set
        else ""
    )
    rows.unsupported("scaling.idle_timeout", f"{_IDLE}{asked}", cost)
    if env:
        native = f"{env}.COG_MAX_CONCURRENCY"
        rows.exact("scaling.concurrency", native, scaling.concurrency, "held by the worker")
    elif scaling.concurrency == 1:
        rows.unset("scaling.concurrency", "the version brings its own")
    else:
        rows.unsupported("scaling.concurrency", "the version brings its own")
    for name in ("target_in_flight", "scale_up_delay", "scale_window"):
        field = f"scaling.{name}"
        if getattr(scaling, name) is None:
            rows.unset(field, _NO_AUTOSCALER)
        else:
            rows.unsupported(field, _NO_AUTOSCALER)
