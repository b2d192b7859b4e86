"""How many workers an endpoint should have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Load", "desired_workers"]

_TOLERANCE_S = 1e-6


@dataclass(frozen=True, slots=True)
class Load:
    """What is going on in an endpoint.

    Attributes:
        waits: Seconds that each queued job has waited so far; jobs of low priority left out.
        running: Jobs in progress.
        busy: Workers that run some.
    """

    waits: Sequence[float]
    running: int
    busy: int


def desired_workers(limits: Mapping[str, Any], scaling: Mapping[str, Any], load: Load) -> int:
    """Give the number of workers for a load, within the limits.

    ``REQUEST_COUNT`` wants ``ceil((queued + running) / requestCount)``, as documented.
    ``QUEUE_DELAY`` starts the first worker at once, and further ones while jobs wait beyond the
    threshold; how many at a time is not documented. Guess: one for each such job.

    Args:
        limits: ``workers`` of the endpoint.
        scaling: ``scaling`` of the endpoint.
        load: What is going on.
    """
    if scaling["type"] == "REQUEST_COUNT":
        wanted = -(-(len(load.waits) + load.running) // scaling["requestCount"])
    else:
        overdue = sum(wait >= scaling["queueDelay"] - _TOLERANCE_S for wait in load.waits)
        wanted = load.busy + overdue
        if load.waits and not load.busy:
            wanted = max(1, wanted)
    return int(min(limits["max"], max(limits["min"], wanted)))
