"""What a worker costs, from the price list beside this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub.adapter.prices import cost_of, dated_source, dearest, read_prices
from gpuhub_runpod.gpus import CARDS

if TYPE_CHECKING:
    from gpuhub.plan import CostEstimate
    from gpuhub_runpod.gpus import Selection

__all__ = ["estimate"]


def estimate(selection: Selection | None, min_workers: int) -> CostEstimate:
    """Estimate by the dearest of the chosen cards, at flex prices: the bill is not above it.

    Args:
        selection: The cards; ``None`` for CPU, whose prices the list does not have.
        min_workers: Workers kept warm.
    """
    prices = read_prices(__file__)
    source = dated_source(prices)
    if selection is None:
        return cost_of(None, 0, f"CPU prices are in GET /v2/catalog/cpus only; {source}")
    pools = [CARDS[name].pool for name in selection.cards]
    choices = [(pool, selection.count) for pool in pools]
    per_hour = dearest(prices["flex_usd_per_second"], choices)
    if per_hour is None:
        source = f"no price known for {', '.join(pools)}; {source}"
    return cost_of(per_hour, min_workers, source)
