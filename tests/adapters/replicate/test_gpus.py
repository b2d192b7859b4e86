"""Hardware: the table, what choices come to, and prices."""

from __future__ import annotations

import pytest

from gpuhub.adapter.prices import read_prices
from gpuhub.errors import SpecError, UnknownGpu
from gpuhub.scaling import Scaling
from gpuhub.spec import (
    FunctionSpec,
)
from gpuhub_replicate import prices
from gpuhub_replicate.gpus import HARDWARE, select
from tests.adapters.plans import TARGET
from tests.adapters.replicate.test_plan import create_body, plan


@pytest.mark.parametrize(
    ("choices", "skus", "notes"),
    [
        ([], ("cpu",), 0),
        (["T4"], ("gpu-t4",), 0),
        (["A100"], ("gpu-a100-large",), 1),
        (["A100-80GB:8"], ("gpu-a100-large-8x",), 0),
        (["L40S:2"], ("gpu-2x-l40s",), 0),
        (["H100:4"], ("gpu-h100-4x",), 0),
        (["memory>=40GB"], ("gpu-l40s",), 1),
        (["memory>=80GB:2"], ("gpu-a100-large-2x",), 1),
        (["B200", "H100", "T4:2", "A40"], ("gpu-h100", "gpu-a40-large"), 2),
    ],
)
def test_hardware_is_by_table(choices, skus, notes):
    """In the order asked for; what Replicate does not have is left out, and said."""
    spec = FunctionSpec(name="a", target=TARGET, gpu=choices)
    found = select(spec.gpu_choices)
    assert found.skus == skus
    assert len(found.notes) == notes


@pytest.mark.parametrize("gpu", ["B200", "L4", "A100-40GB", "H200", "RTX-4090", "T4:2", "H100:3"])
def test_unknown_hardware_is_refused(gpu):
    """With what there is."""
    with pytest.raises(UnknownGpu, match=r"not offered|at a time"):
        plan(gpu=gpu)


def test_hardware_may_be_named():
    """One that no name of a card stands for."""
    made = plan(options={"replicate": {"hardware": "gpu-a40-small"}})
    assert create_body(made)["hardware"] == "gpu-a40-small"
    with pytest.raises(SpecError, match="gpu is set too"):
        plan(gpu="T4", options={"replicate": {"hardware": "cpu"}})


def test_every_sku_has_a_price():
    """Of the table; the date is with them."""
    known = read_prices(prices.__file__)
    skus = {sku for counts in HARDWARE.values() for sku in counts.values()}
    assert skus <= set(known["usd_per_second"])
    cost = plan(gpu="A100", scaling=Scaling(min_workers=2)).cost
    assert (cost.worker_usd_per_hour, cost.idle_usd_per_hour) == (5.04, 10.08)
    assert "2025" in cost.source
    named = plan(options={"replicate": {"hardware": "gpu-x"}}).cost
    assert named.worker_usd_per_hour is None
