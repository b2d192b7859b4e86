"""The GPU cards gpuhub knows: data, and the exact look-up of their spellings.

Memory is the vendor's nominal size in GB of one GPU as providers sell it. Spellings are compared
whole, never in part: ``A10`` is not a piece of ``A100``.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from gpuhub.errors import UnknownGpu

__all__ = ["FAMILIES", "Gpu", "catalogue", "find_gpu", "lookup", "normalised", "unknown_gpu"]

LIST_THEM = "list the names with `gpuhub gpus`"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card.

    Attributes:
        name: Canonical name, such as ``"A100-80GB"``.
        memory_gb: Nominal memory of one GPU in GB.
        architecture: NVIDIA's generation, such as ``"Hopper"``.
        family: Bare name that also stands for this card, such as ``"A100"``; the card's own name
            where it belongs to no family.
        vendor_aliases: Other spellings, as vendors and drivers write them.
        note: What to know before choosing it; empty for most.
    """

    name: str
    memory_gb: int
    architecture: str
    family: str
    vendor_aliases: tuple[str, ...] = ()
    note: str = ""


def _card(
    name: str,
    memory_gb: int,
    architecture: str,
    aliases: tuple[str, ...] = (),
    *,
    family: str = "",
    note: str = "",
) -> Gpu:
    return Gpu(name, memory_gb, architecture, family or name, aliases, note)


# One row a card; within a family the order is the order of preference.
_CARDS = (
    _card(
        "V100-16GB",
        16,
        "Volta",
        (
            "V100-16",
            "V100-SXM2-16GB",
            "V100-PCIE-16GB",
            "Tesla V100-SXM2-16GB",
            "Tesla V100-PCIE-16GB",
            "Tesla V100-FHHL-16GB",
        ),
        family="V100",
    ),
    _card(
        "V100-32GB",
        32,
        "Volta",
        (
            "V100-32",
            "V100-SXM2-32GB",
            "V100-PCIE-32GB",
            "Tesla V100-SXM2-32GB",
            "Tesla V100-SXM3-32GB",
            "Tesla V100-PCIE-32GB",
        ),
        family="V100",
    ),
    _card("T4", 16, "Turing", ("Tesla T4",)),
    _card("RTX-6000", 24, "Turing", ("RTX6000", "Quadro RTX 6000"), note="not the RTX-6000-Ada"),
    _card("A4000", 16, "Ampere", ("RTX A4000", "RTXA4000")),
    _card("A4500", 20, "Ampere", ("RTX A4500", "RTXA4500")),
    _card("A5000", 24, "Ampere", ("RTX A5000", "RTXA5000")),
    _card("A6000", 48, "Ampere", ("RTX A6000", "RTXA6000")),
    _card("RTX-3090", 24, "Ampere", ("RTX3090", "3090")),
    _card("A10", 24, "Ampere", note="not the A10G, which is slower in tensor arithmetic"),
    _card("A10G", 24, "Ampere", note="the cut of the A10 that one cloud sells"),
    _card("A16", 16, "Ampere", note="16 GB per GPU: the board carries four"),
    _card("A30", 24, "Ampere"),
    _card("A40", 48, "Ampere"),
    _card(
        "A100-40GB",
        40,
        "Ampere",
        (
            "A100-40",
            "A100-40GB-PCIe",
            "A100-40GB-SXM",
            "A100-PCIE-40GB",
            "A100-SXM-40GB",
            "A100-SXM4-40GB",
        ),
        family="A100",
    ),
    _card(
        "A100-80GB",
        80,
        "Ampere",
        (
            "A100-80",
            "A100-80GB-PCIe",
            "A100-80GB-SXM",
            "A100-PCIE-80GB",
            "A100-SXM-80GB",
            "A100-SXM4-80GB",
        ),
        family="A100",
    ),
    _card("L4", 24, "Ada"),
    _card("L40", 48, "Ada"),
    _card("L40S", 48, "Ada"),
    _card(
        "RTX-2000-Ada",
        16,
        "Ada",
        ("2000-Ada", "RTX2000Ada", "RTX2000-Ada", "RTX 2000 Ada Generation"),
    ),
    _card(
        "RTX-4000-Ada",
        20,
        "Ada",
        ("4000-Ada", "RTX4000Ada", "RTX4000-Ada", "RTX 4000 Ada Generation"),
    ),
    _card(
        "RTX-6000-Ada",
        48,
        "Ada",
        ("6000-Ada", "RTX6000Ada", "RTX6000-Ada", "RTX 6000 Ada Generation"),
    ),
    _card("RTX-4090", 24, "Ada", ("RTX4090", "4090")),
    _card(
        "H100", 80, "Hopper", ("H100-80GB",), note="whichever 80 GB form the provider sells as H100"
    ),
    _card(
        "H100-SXM",
        80,
        "Hopper",
        ("H100-SXM5", "H100-SXM-80GB", "H100-SXM5-80GB", "H100-80GB-SXM", "H100 80GB HBM3"),
        family="H100",
    ),
    _card("H100-PCIe", 80, "Hopper", ("H100-PCIe-80GB", "H100-80GB-PCIe"), family="H100"),
    _card("H100-NVL", 94, "Hopper", ("H100-NVL-94GB",), family="H100"),
    _card(
        "H100-MIG-40GB",
        40,
        "Hopper",
        ("H100-40GB", "H100 MIG 3g.40gb", "H100 80GB HBM3 MIG 3g.40gb"),
        note="half of an H100, split in hardware",
    ),
    _card("H200", 141, "Hopper", ("H200-SXM", "H200-141GB")),
    _card("GH200", 96, "Hopper", ("GH200-96GB", "GH200 480GB")),
    _card("RTX-5090", 32, "Blackwell", ("RTX5090", "5090")),
    _card(
        "RTX-PRO-6000",
        96,
        "Blackwell",
        (
            "RTXPro6000",
            "RTX-PRO6000",
            "RTX PRO 6000 Blackwell",
            "RTX PRO 6000 Blackwell Server Edition",
            "RTX PRO 6000 Blackwell Workstation Edition",
            "RTX PRO 6000 Blackwell Max-Q Workstation Edition",
        ),
    ),
    _card("B200", 180, "Blackwell", ("B200-180GB",), note="sold as 180 GB; nominal 192 GB"),
    _card("B300", 288, "Blackwell", ("B300-288GB",)),
    _card("GB300", 288, "Blackwell", ("GB300-288GB",)),
)


def _families() -> dict[str, tuple[Gpu, ...]]:
    members: dict[str, tuple[Gpu, ...]] = {}
    for card in _CARDS:
        members[card.family] = (*members.get(card.family, ()), card)
    return {family: cards for family, cards in members.items() if len(cards) > 1}


FAMILIES = _families()
"""Bare names that stand for several cards: ``A100``, ``V100`` and ``H100``."""


def catalogue() -> tuple[Gpu, ...]:
    """Give every card, grouped by architecture, oldest first."""
    return _CARDS


def find_gpu(name: str) -> Gpu:
    """Find one card by its canonical name or an alias.

    Raises:
        UnknownGpu: No card has that name, or it is a bare family such as ``"A100"``.
    """
    canonical = lookup(name)
    if canonical is None:
        raise unknown_gpu(name)
    if card := _by_name().get(canonical):
        return card
    members = ", ".join(card.name for card in FAMILIES[canonical])
    raise UnknownGpu(
        f"gpu: {name!r} is a family of cards, not one card",
        next_step=f"name one of {members}",
    )


def lookup(name: str) -> str | None:
    """Give the canonical name or bare family that a spelling stands for, ``None`` if unknown."""
    return _spellings().get(normalised(name))


def normalised(name: str) -> str:
    """Fold case, make every run of spaces, underscores and hyphens one hyphen, drop the maker."""
    text = re.sub(r"[\s_-]+", "-", name.casefold()).strip("-")
    return text.removeprefix("nvidia-").removeprefix("geforce-")


def unknown_gpu(name: str) -> UnknownGpu:
    """Build the error for a name that is not in the catalogue, with the nearest names."""
    import difflib

    spellings = _spellings()
    near = difflib.get_close_matches(normalised(name), spellings, n=8, cutoff=0.6)
    names = list(dict.fromkeys(spellings[spelling] for spelling in near))[:3]
    hint = f"; the nearest names are {', '.join(names)}" if names else ""
    return UnknownGpu(f"gpu: {name!r} is not a known GPU{hint}", next_step=LIST_THEM)


@functools.cache
def _by_name() -> dict[str, Gpu]:
    return {card.name: card for card in _CARDS}


@functools.cache
def _spellings() -> dict[str, str]:
    table = {normalised(family): family for family in FAMILIES}
    for card in _CARDS:
        for spelling in (card.name, *card.vendor_aliases):
            table[normalised(spelling)] = card.name
    return table
