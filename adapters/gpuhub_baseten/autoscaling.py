"""Replica limits: ``Scaling`` as Baseten's autoscaling settings, with their rows. Pure.

``UpdateAutoscalingSettingsV1`` of the management document (ranges in its descriptions), and
``runtime.predict_concurrency`` of Truss 0.18.35; read 2026-11-24.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.errors import SpecError, UnsupportedSetting

if TYPE_CHECKING:
    from gpuhub.plan import Rows
    from gpuhub.scaling import Scaling
    from gpuhub_baseten.options import Options

__all__ = ["autoscaling", "live_limits", "live_settings", "scaling_rows"]

_LONGEST_DELAY_S = 3600
_WINDOW_S = (10, 3600)
_DEFAULT_WINDOW_S = 60
_BOOTED = (
    "every deploy starts one replica, to see whether it loads, and bills it until it has been idle"
)


def autoscaling(scaling: Scaling, own: Options) -> dict[str, Any]:
    """Give ``autoscaling_settings``, every member of it: Baseten keeps what is left out."""
    settings: dict[str, Any] = _of(scaling)
    settings["target_utilization_percentage"] = own.target_utilization
    if own.max_scale_down_rate is not None:
        settings["max_scale_down_rate"] = own.max_scale_down_rate
    return settings


def live_settings(scaling: Scaling, declared_concurrency: str | None) -> dict[str, Any]:
    """Give ``autoscaling_settings`` for a change of a live deployment.

    Raises:
        SpecError: Baseten has no such limits.
        UnsupportedSetting: The concurrency is another one than the image has.
    """
    if scaling.buffer_workers or scaling.scale_up_delay is not None:
        raise SpecError(
            "scaling: Baseten has no buffer_workers and no scale_up_delay",
            provider="baseten",
            next_step="leave them out",
        )
    if declared_concurrency not in (None, str(scaling.concurrency)):
        raise UnsupportedSetting(
            f"scaling.concurrency: {scaling.concurrency} calls at a time need another image; the"
            f" deployed one runs {declared_concurrency}",
            fields=("scaling.concurrency",),
            provider="baseten",
            next_step="change it in the decorator and deploy; target_in_flight changes at once",
        )
    if scaling.idle_timeout > _LONGEST_DELAY_S:
        raise SpecError(
            f"scaling.idle_timeout: {scaling.idle_timeout:g} s is above Baseten's"
            f" {_LONGEST_DELAY_S} s",
            provider="baseten",
            next_step="lower it, or keep a worker with min_workers",
        )
    return _of(scaling)


def live_limits(settings: Mapping[str, Any] | None) -> dict[str, float]:
    """Read ``Scaling`` fields back from ``autoscaling_settings``, as far as it has them."""
    names = {
        "min_workers": "min_replica",
        "max_workers": "max_replica",
        "idle_timeout": "scale_down_delay",
        "target_in_flight": "concurrency_target",
        "scale_window": "autoscaling_window",
    }
    found = {name: (settings or {}).get(native) for name, native in names.items()}
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def scaling_rows(rows: Rows, scaling: Scaling, *, is_web: bool) -> None:
    """Answer for every field of ``scaling``."""
    warm = "billed around the clock" if scaling.min_workers else _BOOTED
    for field in ("scaling.mode", "scaling.min_workers"):
        rows.exact(field, "min_replica", scaling.min_workers, cost=warm)
    rows.exact("scaling.max_workers", "max_replica", scaling.max_workers)
    if scaling.buffer_workers:
        rows.unsupported("scaling.buffer_workers", "Baseten has no buffer of idle replicas")
    else:
        rows.unset("scaling.buffer_workers", "Baseten keeps none")
    _idle_row(rows, scaling)
    target = scaling.target_in_flight or scaling.concurrency
    where = "the server in the image" if is_web else "predict_concurrency in the image"
    live = f"held by {where}: a change needs a deploy"
    native = "worker.concurrency" if is_web else "runtime.predict_concurrency"
    rows.exact("scaling.concurrency", native, scaling.concurrency, live)
    why = "what the autoscaler aims at; changes at once, without a deploy"
    rows.exact("scaling.target_in_flight", "concurrency_target", target, why)
    if scaling.scale_up_delay is None:
        rows.unset("scaling.scale_up_delay", "replicas are added on the mean over scale_window")
    else:
        rows.unsupported(
            "scaling.scale_up_delay", "Baseten scales on the mean of a window: set scale_window"
        )
    _window_row(rows, scaling)


def _of(scaling: Scaling) -> dict[str, Any]:
    return {
        "min_replica": scaling.min_workers,
        "max_replica": scaling.max_workers,
        "autoscaling_window": _window(scaling),
        "scale_down_delay": min(math.ceil(scaling.idle_timeout), _LONGEST_DELAY_S),
        "concurrency_target": scaling.target_in_flight or scaling.concurrency,
    }


def _window(scaling: Scaling) -> int:
    asked = scaling.scale_window
    if asked is None:
        return _DEFAULT_WINDOW_S
    return min(max(math.ceil(asked), _WINDOW_S[0]), _WINDOW_S[1])


def _idle_row(rows: Rows, scaling: Scaling) -> None:
    field, native, cost = "scaling.idle_timeout", "scale_down_delay", "billed while it waits"
    sent = _of(scaling)[native]
    if scaling.idle_timeout > _LONGEST_DELAY_S:
        rows.unsupported(field, f"Baseten takes at most {_LONGEST_DELAY_S} s, which is sent", cost)
    elif sent != scaling.idle_timeout:
        rows.approximate(field, native, sent, "Baseten takes whole seconds", cost)
    else:
        rows.exact(field, native, sent, cost=cost)


def _window_row(rows: Rows, scaling: Scaling) -> None:
    field, native, sent = "scaling.scale_window", "autoscaling_window", _window(scaling)
    if scaling.scale_window in (None, sent):
        rows.exact(field, native, sent, "Baseten's own default" if not scaling.scale_window else "")
    else:
        rows.approximate(field, native, sent, "Baseten takes whole seconds from 10 to 3600")
