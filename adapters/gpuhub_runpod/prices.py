"""What a worker costs, from the price list beside this file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.plan import CostEstimate
from gpuhub_runpod.gpus import CARDS

if TYPE_CHECKING:
    from gpuhub_runpod.gpus import Selection

__all__ = ["estimate", "read_prices"]


def read_prices() -> dict[str, Any]:
    """Give the price list."""
    return tomllib.loads(Path(__file__).with_name("prices.toml").read_text("utf-8"))


def estimate(selection: Selection | None, min_workers: int) -> CostEstimate:
    """Estimate by the dearest of the chosen cards, at flex prices: the bill is not above it.

    Args:
        selection: The cards; ``None`` for CPU, whose prices the list does not have.
        min_workers: Workers kept warm.
    """
    prices = read_prices()
    source = f"{prices['source']}; read {prices['as_of']}"
    if selection is None:
        return CostEstimate(source=f"CPU prices are in GET /v2/catalog/cpus only; {source}")
    known = prices["flex_usd_per_second"]
    pools = [CARDS[name].pool for name in selection.cards]
    if any(pool not in known for pool in pools):
        return CostEstimate(source=f"no price known for {', '.join(pools)}; {source}")
    per_hour = max(known[pool] for pool in pools) * 3600 * selection.count
    return CostEstimate(round(per_hour, 4), round(per_hour * min_workers, 4), source)
