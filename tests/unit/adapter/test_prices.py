"""Price lists, and what workers cost by them."""

from __future__ import annotations

import pytest

from gpuhub.adapter.prices import cost_of, dated_source, dearest, read_prices
from gpuhub.plan import CostEstimate

PRICES = {"L4": 0.0002, "H100": 0.001}


def test_the_list_is_beside_the_module(tmp_path):
    """Its source and date are said together."""
    text = 'source = "Acme\'s page"\nas_of = 2026-08-20\n[usd_per_second]\nL4 = 0.0002\n'
    (tmp_path / "prices.toml").write_text(text)
    prices = read_prices(str(tmp_path / "translate.py"))
    assert prices["usd_per_second"] == {"L4": 0.0002}
    assert dated_source(prices) == "Acme's page; read 2026-08-20"


@pytest.mark.parametrize(
    ("choices", "usd_per_hour"),
    [
        ([("L4", 1)], 0.72),
        ([("L4", 1), ("H100", 1)], 3.6),
        ([("L4", 8), ("H100", 1)], 5.76),
        ([("H100", 2)], 7.2),
    ],
)
def test_the_dearest_worker_counts(choices, usd_per_hour):
    """With all of its GPUs."""
    assert dearest(PRICES, choices) == pytest.approx(usd_per_hour)


@pytest.mark.parametrize("choices", [[], [("T4", 1)], [("H100", 1), ("T4", 1)]])
def test_a_price_may_be_unknown(choices):
    """Where one card has none, the dearest is not known; nothing chosen is a CPU."""
    assert dearest(PRICES, choices) is None


def test_an_estimate_has_the_warm_workers():
    """All of them, rounded to a hundredth of a cent; an unknown price is no price."""
    assert cost_of(1.23456, 3, "a page") == CostEstimate(1.2346, 3.7037, "a page")
    assert cost_of(1.0, 0, "a page") == CostEstimate(1.0, 0.0, "a page")
    assert cost_of(None, 3, "a page") == CostEstimate(source="a page")
