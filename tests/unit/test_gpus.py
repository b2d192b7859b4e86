"""GPU names, counts, memory queries, and their narrowing to what a provider has."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub._gpu_catalogue import FAMILIES, normalised
from gpuhub.errors import SpecError, UnknownGpu
from gpuhub.gpus import (
    GpuQuery,
    GpuRequest,
    candidates,
    catalogue,
    find_gpu,
    gpu,
    parse_gpu,
    parse_gpus,
    resolve,
    same_count,
)

MEMORY = {
    "T4": 16,
    "L4": 24,
    "A10": 24,
    "A10G": 24,
    "A40": 48,
    "L40": 48,
    "L40S": 48,
    "A4000": 16,
    "A5000": 24,
    "A6000": 48,
    "A4500": 20,
    "A16": 16,
    "A30": 24,
    "RTX-2000-Ada": 16,
    "RTX-4000-Ada": 20,
    "RTX-6000-Ada": 48,
    "RTX-3090": 24,
    "RTX-4090": 24,
    "RTX-5090": 32,
    "RTX-PRO-6000": 96,
    "RTX-6000": 24,
    "V100-16GB": 16,
    "V100-32GB": 32,
    "A100-40GB": 40,
    "A100-80GB": 80,
    "H100": 80,
    "H100-NVL": 94,
    "H100-PCIe": 80,
    "H100-SXM": 80,
    "H100-MIG-40GB": 40,
    "H200": 141,
    "GH200": 96,
    "B200": 180,
    "B300": 288,
    "GB300": 288,
}
SPELLINGS = [
    (spelling, card.name) for card in catalogue() for spelling in (card.name, *card.vendor_aliases)
]

names = st.sampled_from([*MEMORY, "A100", "V100"])
counts = st.integers(min_value=1, max_value=16)
sizes = st.sampled_from(sorted(set(MEMORY.values())))
constraints = st.one_of(
    st.builds("{}{}GB".format, st.sampled_from([">=", "<=", "=="]), sizes),
    st.builds(lambda size, more: f">={size}GB,<{size + more}GiB", sizes, st.integers(1, 500)),
)
choices = st.one_of(st.builds(GpuRequest, names, counts), st.builds(GpuQuery, constraints, counts))


def test_the_catalogue_has_every_card_with_its_memory():
    """The names and sizes are the documented ones."""
    assert {card.name: card.memory_gb for card in catalogue()} == MEMORY


def test_families():
    """Bare names stand for the documented cards, in order of preference."""
    members = {family: [card.name for card in cards] for family, cards in FAMILIES.items()}
    assert members == {
        "V100": ["V100-16GB", "V100-32GB"],
        "A100": ["A100-40GB", "A100-80GB"],
        "H100": ["H100", "H100-SXM", "H100-PCIe", "H100-NVL"],
    }


def test_no_spelling_belongs_to_two_cards():
    """Each normalised spelling occurs once in the whole catalogue, families included."""
    folded = [normalised(spelling) for spelling, _ in SPELLINGS]
    folded += [normalised(family) for family in FAMILIES if family not in MEMORY]
    assert len(folded) == len(set(folded))


@given(
    st.sampled_from(SPELLINGS),
    st.sampled_from(["", "NVIDIA ", "nvidia  ", "GeForce ", "NVIDIA GeForce "]),
    st.sampled_from([" ", "_", "-", " - ", "  "]),
    st.sampled_from([str.lower, str.upper, str.title, str]),
)
def test_every_spelling_finds_its_card(spelling, maker, separator, case):
    """Case, separators and the maker's name do not matter."""
    text, name = spelling
    if maker:
        text = text.removeprefix("NVIDIA ")
    text = case(maker + text.replace(" ", separator).replace("-", separator))
    assert find_gpu(text).name == name
    assert parse_gpu(text) == GpuRequest(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A100", "A100"),
        ("NVIDIA A100", "A100"),
        ("a100-80gb", "A100-80GB"),
        ("NVIDIA A100-SXM4-80GB", "A100-80GB"),
        ("NVIDIA A100 80GB PCIe", "A100-80GB"),
        ("A100-40", "A100-40GB"),
        ("A100_40GB", "A100-40GB"),
        ("NVIDIA GeForce RTX 4090", "RTX-4090"),
        ("RTX4090", "RTX-4090"),
        ("RTXPro6000", "RTX-PRO-6000"),
        ("RTX_PRO_6000", "RTX-PRO-6000"),
        ("RTX6000Ada", "RTX-6000-Ada"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX-6000-Ada"),
        ("RTX 6000", "RTX-6000"),
        ("NVIDIA H100 80GB HBM3", "H100-SXM"),
        ("H100_40GB", "H100-MIG-40GB"),
        ("RTX A6000", "A6000"),
        ("NVIDIA  A30", "A30"),
        ("Tesla V100-PCIE-32GB", "V100-32GB"),
    ],
)
def test_spellings_met_in_the_wild(text, name):
    """Names as drivers, consoles and configuration files write them."""
    assert parse_gpu(text) == GpuRequest(name)


@pytest.mark.parametrize("name", ["A10", "A100", "A40", "L4", "L40", "A4000", "H100", "B300"])
def test_a_name_is_never_taken_for_a_longer_one(name):
    """Only whole names count: A10 is not A100, L40 not L40S, A40 not A4000, B300 not GB300."""
    assert parse_gpu(name) == GpuRequest(name)
    assert {card.name.partition("-")[0] for card in candidates(parse_gpu(name))} == {name}


@given(st.sampled_from(SPELLINGS), st.integers(min_value=1, max_value=40))
def test_a_piece_of_a_name_finds_only_what_is_spelled_so(spelling, length):
    """A prefix of a name is unknown, unless it is itself the whole name of something."""
    piece = spelling[0][:length]
    whole = {normalised(text): name for text, name in SPELLINGS}
    whole |= {normalised(family): family for family in FAMILIES}
    if (expected := whole.get(normalised(piece))) is not None:
        assert parse_gpu(piece) == GpuRequest(expected)
    else:
        with pytest.raises(UnknownGpu):
            parse_gpu(piece)


@given(choices)
def test_text_reads_back(choice):
    """The printed form of a choice is the choice."""
    assert parse_gpu(str(choice)) == choice
    assert parse_gpus([str(choice)]) == parse_gpus(choice) == (choice,)
    assert pickle.loads(pickle.dumps(choice)) == choice  # noqa: S301 - our own bytes


def test_counts():
    """A count follows a colon and is printed only above one."""
    assert parse_gpu("H100:2") == GpuRequest("H100", 2)
    assert str(parse_gpu("h100 : 16")) == "H100:16"
    assert str(parse_gpu("H100:1")) == "H100"


@pytest.mark.parametrize(
    "text", ["H100:0", "H100:x", "H100:", "H100:17", "H100:-1", "H100:1.5", "H100:²", "H100:1:2"]
)
def test_a_wrong_count_is_refused(text):
    """The error names the value and the range."""
    with pytest.raises(UnknownGpu, match="whole number from 1 to 16") as caught:
        parse_gpu(text)
    assert repr(text) in caught.value.message


@pytest.mark.parametrize("count", [0, 17, True, 1.0, "2"])
def test_a_wrong_count_argument_is_refused(count):
    """Constructors hold the same rule."""
    with pytest.raises(SpecError, match="whole number from 1 to 16"):
        GpuRequest("H100", count)
    with pytest.raises(SpecError, match="whole number from 1 to 16"):
        gpu(memory=">=40GB", count=count)


@pytest.mark.parametrize(
    ("text", "near"), [("H1000", "H100"), ("A100-80G", "A100-80GB"), ("RTX4900", "RTX-4090")]
)
def test_an_unknown_name_gets_the_nearest(text, near):
    """The error names the value, the nearest names, and how to list them all."""
    with pytest.raises(UnknownGpu) as caught:
        parse_gpu(text)
    assert repr(text) in caught.value.message
    assert near in caught.value.message.partition("nearest names are ")[2]
    assert "`gpuhub gpus`" in caught.value.next_step


@pytest.mark.parametrize(
    ("text", "next_step"),
    [
        ("any", 'gpuhub.gpu(memory=">=24GB")'),
        ("Any ", 'gpuhub.gpu(memory=">=24GB")'),
        ("", "gpu=None"),
        ("  ", "gpu=None"),
        (">=24GB", "gpuhub.gpu(memory='>=24GB')"),
        ("H100,A100-80GB", 'gpu=["H100", "A100-80GB"]'),
        ("MI300X", "`gpuhub gpus`"),
    ],
)
def test_names_that_are_no_cards_get_the_next_step(text, next_step):
    """Each common mistake is told how to say it."""
    with pytest.raises(UnknownGpu) as caught:
        parse_gpu(text)
    assert next_step in caught.value.next_step


def test_exact_and_memory_of_a_request():
    """A family is not exact and has the sizes of its cards."""
    assert (GpuRequest("A100").exact, GpuRequest("A100").memory_gb) == (False, (40, 80))
    assert (GpuRequest("a100-40").exact, GpuRequest("A100-40GB").memory_gb) == (True, (40,))
    assert (GpuRequest("H100").exact, GpuRequest("H100").memory_gb) == (False, (80, 94))
    assert gpu(memory=">=141GB").memory_gb == (141, 180, 288)


def test_finding_a_family_as_a_card():
    """A bare family is not one card, except H100, which is both."""
    with pytest.raises(UnknownGpu, match="family") as caught:
        find_gpu("a100")
    assert "A100-40GB, A100-80GB" in caught.value.next_step
    assert find_gpu("H100").memory_gb == 80
    with pytest.raises(UnknownGpu, match="not a known GPU; the nearest names are"):
        find_gpu("H1000")


@pytest.mark.parametrize(
    ("memory", "text"),
    [
        (">=40GB", "memory>=40GB"),
        (" > 40 gb ", "memory>40GB"),
        ("==80GiB", "memory==80GB"),
        ("<=80GB , >= 040GB", "memory>=40GB,<=80GB"),
        ("<48GB", "memory<48GB"),
    ],
)
def test_a_query_has_one_text(memory, text):
    """Spacing, case, unit and order of the bounds do not matter."""
    assert str(gpu(memory=memory)) == text
    assert str(gpu(memory=memory, count=4)) == f"{text}:4"
    assert parse_gpu(f" Memory {memory} : 4") == GpuQuery(memory, 4)


@pytest.mark.parametrize(
    ("memory", "matching"),
    [
        (">=180GB", {"B200", "B300", "GB300"}),
        (">180GB", {"B300", "GB300"}),
        ("==141GB", {"H200"}),
        ("<=16GB", {"T4", "A4000", "A16", "RTX-2000-Ada", "V100-16GB"}),
        ("<20GB", {"T4", "A4000", "A16", "RTX-2000-Ada", "V100-16GB"}),
        (">80GB,<=96GB", {"H100-NVL", "GH200", "RTX-PRO-6000"}),
    ],
)
def test_what_a_query_matches(memory, matching):
    """Each operator compares the memory of one GPU."""
    query = gpu(memory=memory, count=2)
    assert {card.name for card in catalogue() if query.matches(card)} == matching
    assert {card.name for card in candidates(query)} == matching


@pytest.mark.parametrize(
    "memory",
    [
        *["", "40GB", ">=40", ">=40TB", ">=40MB", "=40GB", "=>40GB", "!=40GB", ">=-1GB", ">=1.5GB"],
        *[">=40GB,", ">=40GB,>=80GB", "==40GB,<=80GB", ">=1GB,<=2GB,<=3GB", ">=40GB <=80GB"],
        *[40, None, [">=40GB"]],
    ],
)
def test_a_malformed_query_is_refused(memory):
    """The error names the value and the form."""
    with pytest.raises(SpecError, match="is not a constraint") as caught:
        gpu(memory=memory)
    assert repr(memory) in caught.value.message
    assert 'gpuhub.gpu(memory=">=40GB")' in caught.value.next_step


@pytest.mark.parametrize("memory", [">288GB", "<16GB", "==50GB", ">=80GB,<=40GB"])
def test_a_query_that_no_card_can_satisfy_is_refused(memory):
    """The error lists the sizes there are."""
    with pytest.raises(UnknownGpu, match=r"no card has memory .*141, 180 or 288 GB"):
        gpu(memory=memory)


def test_the_gpu_field():
    """One choice, an ordered list, or nothing."""
    query = gpu(memory=">=40GB")
    assert parse_gpus(None) == parse_gpus([]) == ()
    assert parse_gpus("H100:2") == (GpuRequest("H100", 2),)
    assert parse_gpus(query) == (query,)
    assert parse_gpus(["H100:2", query, GpuRequest("A100")]) == (
        GpuRequest("H100", 2),
        query,
        GpuRequest("A100"),
    )


@pytest.mark.parametrize(
    "value", [["H100", "h100"], ["A100-80", "A100-80GB:1"], [gpu(">=40GB"), "memory >= 40 GB"]]
)
def test_a_repeated_choice_is_refused(value):
    """Two spellings of one choice are one choice."""
    with pytest.raises(SpecError, match=r"gpu: .* is listed twice"):
        parse_gpus(value)


@pytest.mark.parametrize("value", [3, b"H100", {"H100": 2}, {"H100"}, [None], [["H100"]], True])
def test_a_wrong_type_is_refused(value):
    """The error names the field and the type."""
    with pytest.raises(SpecError, match=r"^gpu: \w+ .* is not a GPU choice"):
        parse_gpus(value)
    with pytest.raises(SpecError, match="is not a GPU choice"):
        GpuRequest(value)


@given(choices)
def test_candidates_are_ordered_and_complete(choice):
    """A query lists the smallest memory first; every candidate satisfies the choice."""
    cards = candidates(choice)
    assert cards
    assert tuple(sorted({card.memory_gb for card in cards})) == choice.memory_gb
    if isinstance(choice, GpuQuery):
        assert all(map(choice.matches, cards))
        by_memory = sorted(cards, key=lambda card: (card.memory_gb, catalogue().index(card)))
        assert list(cards) == by_memory


OFFERED = {"L4": "l4", "A100-80GB": "a100-big", "A100-40GB": "a100-small", "H100-SXM": "h100"}


@pytest.mark.parametrize(
    ("text", "families", "native", "exact"),
    [
        ("L4:2", None, "l4", True),
        ("A100-80GB", None, "a100-big", True),
        ("A100", None, "a100-small", False),
        ("A100", {"A100": "A100-80GB"}, "a100-big", False),
        ("A100-40GB", {"A100": "A100-80GB"}, "a100-small", True),
        ("H100", None, "h100", False),
        ("memory>=40GB", None, "a100-big", False),
        ("memory>=40GB,<80GB", None, "a100-small", False),
        ("memory==24GB", None, "l4", False),
    ],
)
def test_resolving_one_choice(text, families, native, exact):
    """A family follows the adapter's table, a query the adapter's order of preference."""
    choice = parse_gpu(text)
    (row,) = resolve([choice], OFFERED, provider="acme", families=families)
    assert (row.choice, row.native, row.exact) == (choice, native, exact)
    assert row.count == choice.count
    assert OFFERED[row.gpu.name] == native


def test_a_card_that_is_also_a_family_is_exact_where_it_is_offered():
    """A provider that sells simply H100 has exactly what H100 asks for."""
    (row,) = resolve([GpuRequest("H100")], {"H100-NVL": 1, "H100": 2}, provider="acme")
    assert (row.native, row.exact) == (2, True)


def test_a_family_table_may_name_a_card_that_is_out_of_stock():
    """The next offered card of the family takes its place, as approximation."""
    families = {"A100": "A100-40GB"}
    (row,) = resolve([GpuRequest("A100")], {"A100-80GB": 1}, provider="acme", families=families)
    assert (row.gpu.name, row.exact) == ("A100-80GB", False)


@pytest.mark.parametrize("text", ["A10", "L40", "H100-NVL", "memory>=141GB", "H200:2"])
def test_a_choice_the_provider_lacks(text):
    """Nothing similar is taken: the error names provider, value and the nearest by memory."""
    with pytest.raises(UnknownGpu, match="is not offered by Acme; nearest by memory:") as caught:
        resolve([parse_gpu("L4"), parse_gpu(text)], OFFERED, provider="Acme")
    assert repr(text) in caught.value.message
    assert caught.value.provider == "acme"


def test_nearest_cards_are_sorted_by_distance_in_memory():
    """The closest size comes first, three at most."""
    with pytest.raises(UnknownGpu) as caught:
        resolve([GpuRequest("L40S")], OFFERED, provider="acme")
    nearest = caught.value.message.partition("memory: ")[2]
    assert nearest == "A100-40GB (40 GB), L4 (24 GB), A100-80GB (80 GB)"
    with pytest.raises(UnknownGpu, match="acme, which has no GPU at all"):
        resolve([GpuRequest("L40S")], {}, provider="acme")


def test_missing_fallbacks_can_be_skipped_while_one_remains():
    """Without any left it is an error all the same."""
    wanted = parse_gpus(["H200", "L4:2", "B200"])
    (row,) = resolve(wanted, OFFERED, provider="acme", skip_missing=True)
    assert (row.gpu.name, row.count) == ("L4", 2)
    with pytest.raises(UnknownGpu, match="'H200'"):
        resolve(wanted, {"T4": 1}, provider="acme", skip_missing=True)
    assert resolve([], OFFERED, provider="acme", skip_missing=True) == []


def test_a_mistake_in_an_adapters_table_is_its_own_error():
    """Aliases and strangers are not keys of a table."""
    with pytest.raises(ValueError, match="offered: 'A100-80'"):
        resolve([], {"A100-80": 1}, provider="acme")
    with pytest.raises(ValueError, match="families: 'L4' is not a card of the family 'A100'"):
        resolve([], OFFERED, provider="acme", families={"A100": "L4"})


def test_one_count_for_all_choices():
    """A provider with one number for all workers gets it, or says that there are several."""
    offered = {"H100": 1, "A100-80GB": 2}
    found = resolve(parse_gpus(["H100:2", "A100-80GB:2"]), offered, provider="Acme")
    assert same_count(found, "Acme") == 2
    found = resolve(parse_gpus(["H100:2", "A100-80GB:4"]), offered, provider="Acme")
    with pytest.raises(SpecError, match=r"gpu: Acme .* \(got \[2, 4\]\)") as caught:
        same_count(found, "Acme")
    assert caught.value.provider == "acme"
