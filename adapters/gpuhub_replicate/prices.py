"""What an instance costs, from the price list beside this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub.adapter.prices import cost_of, dearest, read_prices

if TYPE_CHECKING:
    from gpuhub.plan import CostEstimate

__all__ = ["estimate"]


def estimate(hardware: str, min_workers: int) -> CostEstimate:
    """Estimate by the hardware; setup and idle time cost the same as running.

    Args:
        hardware: SKU.
        min_workers: Instances kept warm.
    """
    prices = read_prices(__file__)
    source = f"{prices['source']}; as of {prices['as_of']}"
    per_hour = dearest(prices["usd_per_second"], [(hardware, 1)])
    if per_hour is None:
        source = f"no price known for {hardware}; {source}"
    return cost_of(per_hour, min_workers, source)
