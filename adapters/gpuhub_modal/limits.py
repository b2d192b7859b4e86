"""Worker limits: ``Scaling`` as Modal's autoscaler and input concurrency, with rows. Pure.

Fields: ``AutoscalerSettings`` and ``Function`` of Modal's protobuf; ranges: the SDK's own checks
(modal 1.6.4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.errors import SpecError

if TYPE_CHECKING:
    from gpuhub.plan import Rows
    from gpuhub.scaling import Scaling

__all__ = [
    "LONGEST_S",
    "LONGEST_WINDOW_S",
    "SHORTEST_WINDOW_S",
    "autoscaler_settings",
    "concurrency_fields",
    "live_limits",
    "scaling_rows",
]

SHORTEST_WINDOW_S, LONGEST_WINDOW_S = 2, 3600
LONGEST_S = 86_400
"""Longest run of one call, and longest start ("Timeouts" of Modal's guide, read 2026-11)."""

_SETTINGS = "autoscaler_settings"


def autoscaler_settings(scaling: Scaling) -> dict[str, int]:
    """Give the limits as Modal has them; all are sent."""
    return {
        "min_containers": scaling.min_workers,
        "max_containers": scaling.max_workers,
        "buffer_containers": scaling.buffer_workers,
        "scaledown_window": window(scaling),
    }


def window(scaling: Scaling) -> int:
    """Seconds an idle container waits: whole, 2 to 3600."""
    return min(max(math.ceil(scaling.idle_timeout), SHORTEST_WINDOW_S), LONGEST_WINDOW_S)


def concurrency_fields(scaling: Scaling) -> dict[str, int]:
    """Give the members about inputs that run at once; none where a container takes one.

    Raises:
        SpecError: The autoscaler would aim at more than a container takes.
    """
    target = scaling.target_in_flight
    if target is not None and target > scaling.concurrency:
        raise SpecError(
            f"scaling.target_in_flight: Modal aims at no more calls than a container takes"
            f" ({scaling.concurrency}; asked: {target})",
            next_step="raise concurrency, or lower target_in_flight",
            provider="modal",
        )
    if scaling.concurrency == 1:
        return {}
    fields = {"max_concurrent_inputs": scaling.concurrency}
    return fields if target is None else {**fields, "target_concurrent_inputs": target}


def live_limits(settings: Mapping[str, Any]) -> dict[str, float]:
    """Read ``Scaling`` fields back from what Modal reports."""
    names = {
        "min_containers": "min_workers",
        "max_containers": "max_workers",
        "buffer_containers": "buffer_workers",
        "scaledown_window": "idle_timeout",
    }
    return {
        ours: settings[native]
        for native, ours in names.items()
        if isinstance(settings.get(native), int | float)
    }


def scaling_rows(rows: Rows, scaling: Scaling) -> None:
    """Answer for every field of ``scaling``."""
    limits = autoscaler_settings(scaling)
    warm = "billed around the clock" if scaling.min_workers else ""
    least = limits["min_containers"]
    rows.exact("scaling.mode", f"{_SETTINGS}.min_containers", least, cost=warm)
    rows.exact("scaling.min_workers", f"{_SETTINGS}.min_containers", least, cost=warm)
    rows.exact("scaling.max_workers", f"{_SETTINGS}.max_containers", limits["max_containers"])
    spare = "billed while calls run" if scaling.buffer_workers else ""
    native = f"{_SETTINGS}.buffer_containers"
    rows.exact("scaling.buffer_workers", native, limits["buffer_containers"], cost=spare)
    _idle_row(rows, scaling, limits["scaledown_window"])
    _concurrency_rows(rows, scaling)
    for field, why in {
        "scale_up_delay": "Modal starts containers for waiting calls at once",
        "scale_window": "Modal looks at the calls of the moment",
    }.items():
        if getattr(scaling, field) is None:
            rows.unset(f"scaling.{field}", why)
        else:
            rows.unsupported(f"scaling.{field}", why)


def _idle_row(rows: Rows, scaling: Scaling, seconds: int) -> None:
    field, native, cost = (
        "scaling.idle_timeout",
        f"{_SETTINGS}.scaledown_window",
        "billed meanwhile",
    )
    if seconds == scaling.idle_timeout:
        rows.exact(field, native, seconds, cost=cost)
    else:
        why = f"Modal takes whole seconds, {SHORTEST_WINDOW_S} to {LONGEST_WINDOW_S}"
        rows.approximate(field, native, seconds, why, cost)


def _concurrency_rows(rows: Rows, scaling: Scaling) -> None:
    several = scaling.concurrency > 1
    how = "functions that are not async run on threads" if several else "Modal's default"
    rows.exact("scaling.concurrency", "max_concurrent_inputs", scaling.concurrency, how)
    field, native = "scaling.target_in_flight", "target_concurrent_inputs"
    if scaling.target_in_flight is None:
        rows.unset(field, "as many as a container takes", native)
    else:
        rows.exact(field, native, scaling.target_in_flight, "" if several else "Modal's default")
