"""Which cards Beam knows, and what a function's choices come to there. Pure.

Names: ``GpuType`` of the SDK (beta9 0.1.291) and ``pkg/types/gpu.go`` of the gateway; a list in one
comma-joined text is an order of preference. The SDK compares parts of names, so that ``H100:2``
becomes one H100; here names are compared whole and the count travels in its own field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpuhub.gpus import GpuChoice, resolve, same_count

__all__ = ["CARDS", "FAMILIES", "GENERALLY_AVAILABLE", "Selection", "select"]

CARDS: Mapping[str, str] = {
    "T4": "T4",
    "RTX-4090": "RTX4090",
    "L4": "L4",
    "A10G": "A10G",
    "A10": "A10",
    "A4000": "A4000",
    "RTX-4000-Ada": "RTX4000Ada",
    "A16": "A16",
    "V100-16GB": "V100",
    "A5000": "A5000",
    "A30": "A30",
    "RTX-6000": "RTX6000",
    "V100-32GB": "V100-32",
    "RTX-5090": "RTX5090",
    "A100-40GB": "A100-40",
    "A40": "A40",
    "A6000": "A6000",
    "L40": "L40",
    "L40S": "L40S",
    "RTX-6000-Ada": "RTX6000Ada",
    "A100-80GB": "A100-80",
    "H100": "H100",
    "RTX-PRO-6000": "RTXPro6000",
    "GH200": "GH200",
    "H200": "H200",
    "B200": "B200",
    "B300": "B300",
}
"""Canonical name -> Beam's, small and old first: a memory query gets the first that fits."""

FAMILIES = {"A100": "A100-80GB", "V100": "V100-16GB"}
GENERALLY_AVAILABLE = ("A10G", "RTX-4090", "H100")
"""What hosted Beam offers to everybody ("GPU Acceleration" of its documentation, read 2026-11)."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a function's choices come to.

    Attributes:
        cards: Canonical names in the order of the choices.
        native: Beam's names, comma-joined in that order.
        count: GPUs a worker gets.
        notes: How this differs from what was asked; empty when it does not.
    """

    cards: tuple[str, ...]
    native: str
    count: int
    notes: tuple[str, ...] = ()


def select(choices: Sequence[GpuChoice]) -> Selection:
    """Narrow choices, at least one, to Beam's names.

    Raises:
        UnknownGpu: Beam knows none of them; names the nearest.
        SpecError: The choices ask for different counts.
    """
    found = resolve(choices, CARDS, provider="Beam", families=FAMILIES, skip_missing=True)
    count = same_count(found, "Beam")
    cards = tuple(dict.fromkeys(each.gpu.name for each in found))
    notes = [f"{each.choice} means {each.gpu.name} here" for each in found if not each.exact]
    kept = {each.choice for each in found}
    if left_out := [str(choice) for choice in choices if choice not in kept]:
        notes.append(f"left out, not at Beam: {', '.join(left_out)}")
    return Selection(cards, ",".join(CARDS[name] for name in cards), count, tuple(notes))
