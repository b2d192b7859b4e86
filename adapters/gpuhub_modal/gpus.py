"""Which cards Modal has, and what a function's choices come to there. Pure.

Names and counts: "GPU acceleration" of Modal's guide, read 2026-11. The SDK checks neither, only
that a count is a number; the server does. ``H100`` may be served by an H200 there, ``H100!`` not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpuhub.errors import SpecError
from gpuhub.gpus import GpuChoice, resolve

__all__ = ["CARDS", "FAMILIES", "Selection", "select"]

CARDS: Mapping[str, str] = {
    "T4": "T4",
    "L4": "L4",
    "A10": "A10",
    "A100-40GB": "A100-40GB",
    "L40S": "L40S",
    "A100-80GB": "A100-80GB",
    "RTX-PRO-6000": "RTX-PRO-6000",
    "H100": "H100!",
    "H200": "H200",
    "B200": "B200",
}
"""Canonical name -> Modal's, cheap first: a memory query gets the first that fits."""

FAMILIES = {"A100": "A100-40GB", "H100": "H100"}

_MOST = 8
_FEWER = {"A10": 4}


@dataclass(frozen=True, slots=True)
class Selection:
    """What a function's choices come to.

    Attributes:
        cards: Canonical names in the order of the choices.
        native: Modal's names with counts, in that order, as ``FunctionCreate`` has them.
        notes: How this differs from what was asked; empty when it does not.
    """

    cards: tuple[str, ...]
    native: tuple[dict[str, str | int], ...]
    notes: tuple[str, ...] = ()

    @property
    def texts(self) -> list[str]:
        """The choices as the SDK takes them, such as ``"H100!:2"``."""
        return [f"{each['gpu_type']}:{each['count']}" for each in self.native]


def select(choices: Sequence[GpuChoice]) -> Selection:
    """Narrow choices, at least one, to Modal's names.

    Raises:
        UnknownGpu: Modal has none of them; names the nearest.
        SpecError: Modal gives fewer of a card to one container.
    """
    found = resolve(choices, CARDS, provider="Modal", families=FAMILIES, skip_missing=True)
    native: list[dict[str, str | int]] = []
    for each in found:
        most = _FEWER.get(each.gpu.name, _MOST)
        if each.count > most:
            raise SpecError(
                f"gpu: Modal gives a container 1 to {most} {each.gpu.name} (got {each.count})",
                next_step="ask for fewer, or for a larger card",
                provider="modal",
            )
        native.append({"gpu_type": each.native, "count": each.count})
    notes = [f"{each.choice} means {each.gpu.name} here" for each in found if not each.exact]
    kept = {each.choice for each in found}
    if left_out := [str(choice) for choice in choices if choice not in kept]:
        notes.append(f"left out, not at Modal: {', '.join(left_out)}")
    return Selection(tuple(each.gpu.name for each in found), tuple(native), tuple(notes))
