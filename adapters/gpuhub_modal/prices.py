"""What a worker costs, from the price list beside this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub.adapter.prices import cost_of, dated_source, dearest, read_prices

if TYPE_CHECKING:
    from gpuhub.plan import CostEstimate
    from gpuhub_modal.gpus import Selection

__all__ = ["estimate"]


def estimate(selection: Selection | None, min_workers: int) -> CostEstimate:
    """Estimate by the dearest of the chosen cards, where all have a price: the bill is not above.

    Args:
        selection: The cards; ``None`` for CPU.
        min_workers: Workers kept warm.
    """
    prices = read_prices(__file__)
    chosen = zip(selection.cards, selection.native, strict=True) if selection else ()
    choices = [(card, int(native["count"])) for card, native in chosen]
    per_hour = dearest(prices["usd_per_second"], choices)
    return cost_of(per_hour, min_workers, dated_source(prices))
