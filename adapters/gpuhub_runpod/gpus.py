"""Which pools and cards RunPod has, and what a function's choices come to there. Pure.

Pools, the type ids in them and the names of fields: "GPU types" and "Create a serverless endpoint"
(``gpu.pools``, ``gpu.excludedTypes``, ``gpu.count``) of RunPod's documentation and its REST v2
document, read 2026-11-20.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpuhub.gpus import GpuChoice, Resolution, resolve, same_count

__all__ = ["CARDS", "FAMILIES", "POOLS", "Selection", "pinned", "select"]

POOLS: Mapping[str, tuple[str, ...]] = {
    "AMPERE_16": (
        "NVIDIA RTX A4000",
        "NVIDIA RTX A4500",
        "NVIDIA RTX 4000 Ada Generation",
        "NVIDIA RTX 2000 Ada Generation",
    ),
    "AMPERE_24": ("NVIDIA L4", "NVIDIA RTX A5000", "NVIDIA GeForce RTX 3090"),
    "ADA_24": ("NVIDIA GeForce RTX 4090",),
    "AMPERE_48": ("NVIDIA A40", "NVIDIA RTX A6000"),
    "ADA_48_PRO": ("NVIDIA L40", "NVIDIA L40S", "NVIDIA RTX 6000 Ada Generation"),
    "ADA_32_PRO": ("NVIDIA GeForce RTX 5090",),
    "AMPERE_80": ("NVIDIA A100 80GB PCIe", "NVIDIA A100-SXM4-80GB"),
    "BLACKWELL_96": (
        "NVIDIA RTX PRO 6000 Blackwell Server Edition",
        "NVIDIA RTX PRO 6000 Blackwell Workstation Edition",
        "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
    ),
    "ADA_80_PRO": ("NVIDIA H100 PCIe", "NVIDIA H100 80GB HBM3", "NVIDIA H100 NVL"),
    "HOPPER_141": ("NVIDIA H200",),
    "BLACKWELL_180": ("NVIDIA B200",),
}
"""Type ids by serverless pool, cheapest pool first."""


@dataclass(frozen=True, slots=True)
class Card:
    """One canonical card at RunPod.

    Attributes:
        pool: Its serverless pool.
        types: Its type ids within the pool.
    """

    pool: str
    types: tuple[str, ...]


def _card(pool: str, *positions: int) -> Card:
    return Card(pool, tuple(POOLS[pool][at] for at in positions) or POOLS[pool])


CARDS: Mapping[str, Card] = {
    "A4000": _card("AMPERE_16", 0),
    "A4500": _card("AMPERE_16", 1),
    "RTX-4000-Ada": _card("AMPERE_16", 2),
    "RTX-2000-Ada": _card("AMPERE_16", 3),
    "L4": _card("AMPERE_24", 0),
    "A5000": _card("AMPERE_24", 1),
    "RTX-3090": _card("AMPERE_24", 2),
    "RTX-4090": _card("ADA_24"),
    "A40": _card("AMPERE_48", 0),
    "A6000": _card("AMPERE_48", 1),
    "L40": _card("ADA_48_PRO", 0),
    "L40S": _card("ADA_48_PRO", 1),
    "RTX-6000-Ada": _card("ADA_48_PRO", 2),
    "RTX-5090": _card("ADA_32_PRO"),
    "A100-80GB": _card("AMPERE_80"),
    "RTX-PRO-6000": _card("BLACKWELL_96"),
    "H100": _card("ADA_80_PRO", 0, 1),
    "H100-PCIe": _card("ADA_80_PRO", 0),
    "H100-SXM": _card("ADA_80_PRO", 1),
    "H100-NVL": _card("ADA_80_PRO", 2),
    "H200": _card("HOPPER_141"),
    "B200": _card("BLACKWELL_180"),
}
"""Canonical name -> place at RunPod, cheapest first: a memory query gets the first that fits."""

FAMILIES = {"A100": "A100-80GB", "H100": "H100"}


@dataclass(frozen=True, slots=True)
class Selection:
    """What a function's choices come to.

    Attributes:
        cards: The cards, in the order of the choices.
        pools: Their pools, each once, in that order.
        excluded: Type ids of these pools that were not chosen.
        count: GPUs a worker gets.
        notes: How this differs from what was asked; empty when it does not.
    """

    cards: tuple[str, ...]
    pools: tuple[str, ...]
    excluded: tuple[str, ...]
    count: int
    notes: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        """The ``gpu`` member of an endpoint; the count is always sent."""
        body: dict[str, Any] = {"pools": list(self.pools), "count": self.count}
        if self.excluded:
            body["excludedTypes"] = list(self.excluded)
        return body


def select(choices: Sequence[GpuChoice]) -> Selection:
    """Narrow choices, at least one, to pools and the cards of them to leave out.

    Raises:
        UnknownGpu: No serverless pool has a card for any of them; names the nearest that exist.
        SpecError: The choices ask for different counts.
    """
    found = resolve(choices, CARDS, provider="RunPod", families=FAMILIES, skip_missing=True)
    count = same_count(found, "RunPod")
    cards = tuple(dict.fromkeys(each.gpu.name for each in found))
    pools = tuple(dict.fromkeys(CARDS[name].pool for name in cards))
    return Selection(cards, pools, _others(cards, pools), count, _notes(choices, found))


def _others(cards: Iterable[str], pools: Iterable[str]) -> tuple[str, ...]:
    wanted = {kind for name in cards for kind in CARDS[name].types}
    return tuple(kind for pool in pools for kind in POOLS[pool] if kind not in wanted)


def _notes(choices: Sequence[GpuChoice], found: Sequence[Resolution[Card]]) -> tuple[str, ...]:
    notes = [f"{each.choice} means {each.gpu.name} here" for each in found if not each.exact]
    kept = {each.choice for each in found}
    left_out = [str(choice) for choice in choices if choice not in kept]
    if left_out:
        notes.append(f"left out, in no serverless pool: {', '.join(left_out)}")
    if len(found) > 1:
        notes.append(
            "RunPod keeps no order: a worker gets whichever of these has capacity; tiers as asked: "
            + ", ".join(f"{tier}. {each.gpu.name}" for tier, each in enumerate(found, 1))
        )
    return tuple(notes)


def pinned(gpu: Mapping[str, Any], catalog: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Bring a planned ``gpu`` member up to date with what its pools hold now.

    RunPod moves cards into pools: one that came later would be eligible, and an exclusion of one
    that left is refused with 400.

    Args:
        gpu: The member as planned.
        catalog: Entries of ``GET /v2/catalog/gpus``: ``id`` and ``pool``.

    Raises:
        ValueError: None of the wanted cards is in these pools any more.
    """
    pools = list(gpu["pools"])
    excluded = set(gpu.get("excludedTypes", ()))
    wanted = {kind for pool in pools for kind in POOLS.get(pool, ())} - excluded
    now = [str(entry["id"]) for entry in catalog if entry.get("pool") in pools]
    if not wanted & set(now):
        names = ", ".join(sorted(wanted))
        msg = f"the pools {', '.join(pools)} no longer hold {names}; they hold {', '.join(now)}"
        raise ValueError(msg)
    rest = {name: value for name, value in gpu.items() if name != "excludedTypes"}
    out = [kind for kind in now if kind not in wanted]
    return {**rest, "excludedTypes": out} if out else rest
