"""GPU names: whole, exact, with the count in its own field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.errors import SpecError, UnknownGpu
from gpuhub.gpus import parse_gpus
from gpuhub_beam.gpus import CARDS, select

# ``GpuType`` of beta9 0.1.291, without GAUDI2, which is no GPU of NVIDIA's, and ``any``.
OF_THE_SDK = {
    *("T4", "L4", "L40", "L40S", "A10", "A10G", "A100", "A100-40", "A100-80", "A16", "A30", "A40"),
    *("H100", "H200", "GH200", "B200", "B300", "A4000", "A5000", "A6000", "RTX4000Ada", "RTX4090"),
    *("RTX5090", "RTX6000", "RTX6000Ada", "RTXPro6000", "V100", "V100-32"),
}


def test_the_table_has_the_names_of_the_sdk():
    """All but A100 without its memory, which Beam takes for either."""
    assert set(CARDS.values()) == OF_THE_SDK - {"A100"}


@pytest.mark.parametrize(
    ("asked", "native", "count"),
    [
        ("H100", "H100", 1),
        ("H100:2", "H100", 2),
        ("A100-80GB", "A100-80", 1),
        ("A100", "A100-80", 1),
        (["H100", "A100-80GB"], "H100,A100-80", 1),
        (["RTX 4090:2", "L40S:2"], "RTX4090,L40S", 2),
    ],
)
def test_choices_become_a_list_and_a_count(asked, native, count):
    """The SDK would make one H100 of H100:2."""
    selection = select(parse_gpus(asked))
    assert (selection.native, selection.count) == (native, count)


def test_a_bare_family_is_said_to_mean_a_card():
    """So that nobody pays for another by surprise."""
    assert select(parse_gpus("A100")).notes == ("A100 means A100-80GB here",)
    assert select(parse_gpus("memory>=100GB")).cards == ("H200",)


def test_a_card_that_beam_lacks_is_left_out_or_refused():
    """Among others it is left out, with a note; alone it is refused."""
    selection = select(parse_gpus(["RTX-3090", "L4"]))
    assert selection.native == "L4"
    assert "RTX-3090" in selection.notes[-1]
    with pytest.raises(UnknownGpu, match="RTX-3090"):
        select(parse_gpus("RTX-3090"))


def test_one_count_for_all():
    """Beam has one field for it."""
    with pytest.raises(SpecError, match=r"\[1, 2\]"):
        select(parse_gpus(["H100:2", "L4"]))


@given(st.lists(st.sampled_from(sorted(CARDS)), min_size=1, unique=True), st.integers(1, 8))
def test_the_order_of_choices_is_kept(cards, count):
    """It is Beam's order of preference too."""
    selection = select(parse_gpus([f"{card}:{count}" for card in cards]))
    assert selection.native.split(",") == [CARDS[card] for card in cards]
    assert selection.count == count
