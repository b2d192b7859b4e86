"""How many workers a deployment keeps, and what each of them takes on."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, model_validator

from gpuhub._model import Model

__all__ = ["Scaling", "WorkerMode"]


class WorkerMode(StrEnum):
    """Whether a deployment may have no worker at all."""

    FLEX = "flex"
    """Scales to zero: nothing is billed while no call comes."""
    ACTIVE = "active"
    """At least one worker is always warm, and always billed."""


class Scaling(Model):
    """Worker limits of a deployment. Frozen; unknown fields are refused.

    The defaults are gpuhub's own and are sent explicitly to every provider that takes them, so
    that another provider does not bring other limits.

    Attributes:
        mode: ``flex`` (default) scales to zero, ``active`` keeps ``min_workers`` >= 1 warm. Left
            out, it follows from ``min_workers``.
        min_workers: Workers kept warm. Default 0, or 1 in ``active`` mode.
        max_workers: Upper limit of workers. Default 3.
        buffer_workers: Idle workers kept ready beside the busy ones under load. Default 0.
        idle_timeout: Seconds an idle worker waits for the next call before it stops. Default 60.
        concurrency: Calls one worker runs at the same time. Default 1.
        target_in_flight: Calls per worker the autoscaler aims at; ``None`` means ``concurrency``.
        scale_up_delay: Seconds a call may wait in the queue before a worker is added; ``None``
            leaves it to the provider.
        scale_window: Seconds of traffic the autoscaler averages over; ``None`` leaves it to the
            provider.
    """

    mode: WorkerMode = WorkerMode.FLEX
    min_workers: Annotated[int, Field(ge=0)] = 0
    max_workers: Annotated[int, Field(ge=1)] = 3
    buffer_workers: Annotated[int, Field(ge=0)] = 0
    idle_timeout: Annotated[float, Field(ge=0)] = 60
    concurrency: Annotated[int, Field(ge=1)] = 1
    target_in_flight: Annotated[int, Field(ge=1)] | None = None
    scale_up_delay: Annotated[float, Field(ge=0)] | None = None
    scale_window: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _derive_mode(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        values = dict(values)
        if "mode" not in values and isinstance(least := values.get("min_workers"), int):
            values["mode"] = WorkerMode.ACTIVE if least > 0 else WorkerMode.FLEX
        elif values.get("mode") == WorkerMode.ACTIVE:
            values.setdefault("min_workers", 1)
        return values

    @model_validator(mode="after")
    def _agree(self) -> Scaling:
        if self.mode is WorkerMode.FLEX and self.min_workers > 0:
            msg = (
                f"mode 'flex' scales to zero, so min_workers must be 0 (got {self.min_workers}); "
                "use mode='active' to keep workers warm"
            )
            raise ValueError(msg)
        if self.mode is WorkerMode.ACTIVE and self.min_workers < 1:
            msg = "mode 'active' keeps workers warm, so min_workers must be at least 1 (got 0)"
            raise ValueError(msg)
        if self.max_workers < self.min_workers:
            msg = f"max_workers ({self.max_workers}) is below min_workers ({self.min_workers})"
            raise ValueError(msg)
        return self
