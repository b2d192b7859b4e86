"""What a worker is estimated to cost: on Beam's own cluster, where all that it has a price."""

from __future__ import annotations

import pytest

from gpuhub.scaling import Scaling
from gpuhub.spec import FunctionSpec
from gpuhub_beam.defaults import Defaults
from gpuhub_beam.translate import make_plan
from tests.adapters.laboratory import SMALL


def cost(defaults=None, **settings):
    """Give the estimate for a function."""
    spec = FunctionSpec(app="lab", name="echo", target=SMALL.target, **settings)
    return make_plan(spec, SMALL, defaults or Defaults()).cost


@pytest.mark.parametrize(
    ("settings", "per_hour"),
    [
        ({"gpu": "RTX-4090", "cpu": 1, "memory": 1024}, 0.6912 + 0.19008 + 0.02016),
        ({"gpu": "H100:2", "cpu": 4, "memory": 65536}, 2 * 3.4992 + 4 * 0.19008 + 64 * 0.02016),
        ({"cpu": 0.5, "memory": 512}, 0.5 * 0.19008 + 0.5 * 0.02016),
    ],
)
def test_cards_cores_and_memory_count(settings, per_hour):
    """By the hour, for one worker and for those that are kept warm."""
    found = cost(**settings, scaling=Scaling(min_workers=2, max_workers=3))
    assert found.worker_usd_per_hour == pytest.approx(per_hour, abs=1e-4)
    assert found.idle_usd_per_hour == pytest.approx(2 * per_hour, abs=2e-4)
    assert "2026-" in found.source


def test_the_dearest_of_the_choices_counts():
    """The bill is not above the estimate, whichever card it comes to."""
    assert cost(gpu=["RTX-4090", "H100"]) == cost(gpu=["H100", "RTX-4090"]) == cost(gpu="H100")


def test_no_price_no_estimate():
    """Of a card without one; and of the user's own machines, where Beam sends no bill."""
    assert cost(gpu="B200").worker_usd_per_hour is None
    assert cost(gpu=["H100", "B200"]).idle_usd_per_hour is None
    own = cost(Defaults(is_hosted=False), gpu="H100")
    assert (own.worker_usd_per_hour, own.idle_usd_per_hour) == (None, None)
    assert "your own beta9" in own.source


@pytest.mark.parametrize(
    ("gateway", "is_known"),
    [(None, True), ("https://app.beam.cloud/", True), ("http://h:1", False)],
)
def test_the_gateway_decides(gateway, is_known, make_lab):
    """Hosted unless another gateway is set."""
    lab = make_lab(**({} if gateway is None else {"gateway_url": gateway}))
    assert (lab.plan(gpu="H100").cost.worker_usd_per_hour is not None) is is_known
