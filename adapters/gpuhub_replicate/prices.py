"""What an instance costs, from the price list beside this file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from gpuhub.plan import CostEstimate

__all__ = ["estimate", "read_prices"]


def read_prices() -> dict[str, Any]:
    """Give the price list."""
    return tomllib.loads(Path(__file__).with_name("prices.toml").read_text("utf-8"))


def estimate(hardware: str, min_workers: int) -> CostEstimate:
    """Estimate by the hardware; setup and idle time cost the same as running.

    Args:
        hardware: SKU.
        min_workers: Instances kept warm.
    """
    prices = read_prices()
    source = f"{prices['source']}; as of {prices['as_of']}"
    per_second = prices["usd_per_second"].get(hardware)
    if per_second is None:
        return CostEstimate(source=f"no price known for {hardware}; {source}")
    per_hour = per_second * 3600
    return CostEstimate(round(per_hour, 4), round(per_hour * min_workers, 4), source)
