"""What a worker costs, from the price list beside this file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.plan import CostEstimate

if TYPE_CHECKING:
    from gpuhub_modal.gpus import Selection

__all__ = ["estimate", "read_prices"]


def read_prices() -> dict[str, Any]:
    """Give the price list."""
    return tomllib.loads(Path(__file__).with_name("prices.toml").read_text("utf-8"))


def estimate(selection: Selection | None, min_workers: int) -> CostEstimate:
    """Estimate by the dearest of the chosen cards, where all have a price: the bill is not above.

    Args:
        selection: The cards; ``None`` for CPU.
        min_workers: Workers kept warm.
    """
    prices = read_prices()
    source = f"{prices['source']}; read {prices['as_of']}"
    known: dict[str, float] = prices["usd_per_second"]
    if selection is None or any(card not in known for card in selection.cards):
        return CostEstimate(source=source)
    counts = [int(each["count"]) for each in selection.native]
    paired = zip(selection.cards, counts, strict=True)
    per_hour = max(known[card] * count for card, count in paired) * 3600
    return CostEstimate(round(per_hour, 4), round(per_hour * min_workers, 4), source)
