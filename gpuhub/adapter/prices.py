"""What a worker costs, from a price list in a file of the adapter's own.

``prices.toml`` names its ``source`` and the day it was read, ``as_of``; the tables are the
adapter's. An adapter may use this, nothing asks it to.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gpuhub.plan import CostEstimate

__all__ = ["cost_of", "dated_source", "dearest", "read_prices"]


def read_prices(module_file: str) -> dict[str, Any]:
    """Give the price list beside a module.

    Args:
        module_file: The module's ``__file__``.
    """
    return tomllib.loads(Path(module_file).with_name("prices.toml").read_text("utf-8"))


def dated_source(prices: Mapping[str, Any]) -> str:
    """Say where a list is from, and of which date."""
    return f"{prices['source']}; read {prices['as_of']}"


def dearest(
    usd_per_second: Mapping[str, float], choices: Iterable[tuple[str, int]]
) -> float | None:
    """Give the price of a worker on the dearest of some choices: the bill is not above it.

    Args:
        usd_per_second: Price of one GPU, by the name of the card.
        choices: Names of cards, with the number of them in one worker.

    Returns:
        USD per hour; ``None`` where one has no price, or nothing is chosen.
    """
    found = list(choices)
    if not found or any(name not in usd_per_second for name, _ in found):
        return None
    return max(usd_per_second[name] * count for name, count in found) * 3600


def cost_of(usd_per_hour: float | None, min_workers: int, source: str) -> CostEstimate:
    """Estimate what workers cost, to a hundredth of a cent.

    Args:
        usd_per_hour: One busy or warm worker; ``None``: unknown.
        min_workers: Workers kept warm.
        source: Where the price is from, and of which date.
    """
    if usd_per_hour is None:
        return CostEstimate(source=source)
    return CostEstimate(round(usd_per_hour, 4), round(usd_per_hour * min_workers, 4), source)
