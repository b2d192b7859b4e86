"""GPUs: the exact table, pinning by exclusion, fallbacks, refusals, the catalog of the day."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.errors import SpecError, UnknownGpu
from gpuhub.gpus import catalogue, find_gpu, gpu, parse_gpus
from gpuhub_runpod.gpus import CARDS, POOLS, pinned, select


def test_every_card_is_in_its_pool():
    """The table of cards and that of pools agree, and no type is in two pools."""
    types = [kind for kinds in POOLS.values() for kind in kinds]
    assert len(types) == len(set(types))
    for name, card in CARDS.items():
        assert card.types
        assert set(card.types) <= set(POOLS[card.pool]), name
        assert find_gpu(name).memory_gb


def test_every_type_belongs_to_a_card():
    """No card of a pool is unreachable."""
    reachable = {kind for card in CARDS.values() for kind in card.types}
    assert {kind for kinds in POOLS.values() for kind in kinds} == reachable


@pytest.mark.parametrize(
    ("asked", "pools", "excluded"),
    [
        ("RTX-4090", ["ADA_24"], []),
        ("L4", ["AMPERE_24"], ["NVIDIA RTX A5000", "NVIDIA GeForce RTX 3090"]),
        ("A40", ["AMPERE_48"], ["NVIDIA RTX A6000"]),
        ("L40S", ["ADA_48_PRO"], ["NVIDIA L40", "NVIDIA RTX 6000 Ada Generation"]),
        ("A100-80GB", ["AMPERE_80"], []),
        ("H100", ["ADA_80_PRO"], ["NVIDIA H100 NVL"]),
        ("H100-NVL", ["ADA_80_PRO"], ["NVIDIA H100 PCIe", "NVIDIA H100 80GB HBM3"]),
        ("RTX-PRO-6000", ["BLACKWELL_96"], []),
        ("H200", ["HOPPER_141"], []),
        ("B200", ["BLACKWELL_180"], []),
    ],
)
def test_one_card_is_pinned(asked, pools, excluded):
    """Its pool, less all other types of the pool; never a neighbour by a part of its name."""
    body = select(parse_gpus(asked)).body()
    assert body["pools"] == pools
    assert body.get("excludedTypes", []) == excluded
    assert body["count"] == 1


@pytest.mark.parametrize("asked", ["A100-40GB", "A10G", "A10", "T4", "V100", "B300", "A30"])
def test_cards_of_no_pool_are_refused(asked):
    """With the nearest by memory that RunPod has."""
    with pytest.raises(UnknownGpu, match="nearest by memory: ") as caught:
        select(parse_gpus(asked))
    assert asked in caught.value.message
    assert "RunPod" in caught.value.message


def test_bare_a100_is_told():
    """Bare A100 is 80 GB here, and the notes say so."""
    assert select(parse_gpus("A100")).notes == ("A100 means A100-80GB here",)


def test_fallbacks_are_tiers_without_order():
    """All pools are listed; what is left out and that there is no order is told."""
    found = select(parse_gpus(["H100", "T4", "L40S"]))
    assert found.pools == ("ADA_80_PRO", "ADA_48_PRO")
    assert "T4" in found.notes[0]
    assert "1. H100, 2. L40S" in found.notes[1]


def test_two_cards_of_one_pool():
    """The pool is named once, and both cards stay."""
    found = select(parse_gpus(["A40", "A6000"]))
    assert found.pools == ("AMPERE_48",)
    assert found.excluded == ()


def test_counts_must_agree():
    """RunPod has one count for all choices."""
    assert select(parse_gpus(["H100:2", "A100-80GB:2"])).count == 2
    with pytest.raises(SpecError, match="same number"):
        select(parse_gpus(["H100:2", "A100-80GB"]))


def test_a_memory_query_takes_the_cheapest():
    """The first card of the table that fits."""
    assert select([gpu(memory=">=40GB")]).cards == ("A40",)
    assert select([gpu(memory=">=90GB", count=2)]).count == 2


@given(st.sets(st.sampled_from(sorted(CARDS)), min_size=1, max_size=5))
def test_a_selection_is_exactly_what_was_asked(names):
    """Pools less exclusions are the types of the chosen cards, whatever the choice."""
    body = select(parse_gpus(sorted(names))).body()
    left = {kind for pool in body["pools"] for kind in POOLS[pool]}
    left -= set(body.get("excludedTypes", ()))
    assert left == {kind for name in names for kind in CARDS[name].types}


@given(st.sampled_from([card.name for card in catalogue()]))
def test_every_card_is_offered_or_refused(name):
    """No name of the catalogue crashes."""
    if name in CARDS:
        assert select(parse_gpus(name)).cards == (name,)
    else:
        with pytest.raises(UnknownGpu):
            select(parse_gpus(name))


def entries(*pairs):
    """Give catalog entries."""
    return [{"id": kind, "pool": pool} for kind, pool in pairs]


def test_a_card_that_joined_the_pool_is_excluded():
    """The catalog of the day decides what else is in the pool."""
    planned = {"pools": ["ADA_24"], "count": 1}
    now = entries(("NVIDIA GeForce RTX 4090", "ADA_24"), ("MIG 1g.24gb", "ADA_24"), ("Other", None))
    assert pinned(planned, now) == {**planned, "excludedTypes": ["MIG 1g.24gb"]}


def test_a_card_that_left_the_pool_is_not_excluded():
    """RunPod refuses an exclusion of a type that is not in the pool."""
    planned = {"pools": ["AMPERE_48"], "count": 1, "excludedTypes": ["NVIDIA RTX A6000"]}
    assert pinned(planned, entries(("NVIDIA A40", "AMPERE_48"))) == {
        "pools": ["AMPERE_48"],
        "count": 1,
    }


def test_a_pool_without_the_card_is_an_error():
    """Nothing else is taken in its place."""
    planned = {"pools": ["AMPERE_48"], "count": 1, "excludedTypes": ["NVIDIA RTX A6000"]}
    with pytest.raises(ValueError, match="no longer hold NVIDIA A40"):
        pinned(planned, entries(("NVIDIA RTX A6000", "AMPERE_48")))
