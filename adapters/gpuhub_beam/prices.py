"""What a worker costs, from the price list beside this file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.adapter.prices import cost_of, dated_source, dearest, read_prices

if TYPE_CHECKING:
    from gpuhub.plan import CostEstimate
    from gpuhub_beam.gpus import Selection

__all__ = ["estimate"]

_SELF_HOSTED = "your own beta9 costs what its machines cost"


def estimate(
    selection: Selection | None, stub: Mapping[str, Any], *, is_hosted: bool
) -> CostEstimate:
    """Estimate by the dearest of the chosen cards, where all have a price: the bill is not above.

    Args:
        selection: The cards; ``None`` for CPU.
        stub: Of the deployment that keeps workers warm: ``cpu`` in millicores, ``memory`` in MiB.
        is_hosted: It is Beam's gateway, not a self-hosted one.
    """
    if not is_hosted:
        return cost_of(None, 0, _SELF_HOSTED)
    prices = read_prices(__file__)
    min_workers = stub["autoscaler"]["minContainers"]
    cores, gib = int(stub["cpu"]) / 1000, int(stub["memory"]) / 1024
    per_second = cores * prices["usd_per_core_second"] + gib * prices["usd_per_gib_second"]
    gpus_per_hour: float | None = 0.0
    if selection is not None:
        choices = [(card, selection.count) for card in selection.cards]
        gpus_per_hour = dearest(prices["usd_per_second"], choices)
    per_hour = None if gpus_per_hour is None else gpus_per_hour + per_second * 3600
    return cost_of(per_hour, min_workers, dated_source(prices))
