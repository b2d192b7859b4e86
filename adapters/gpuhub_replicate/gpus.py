"""Which hardware Replicate has, and what a function's choices come to there. Pure.

SKUs as they are spelled in ``GET /hardware`` and on Replicate's pricing page, read 2026-11-20; they
follow no rule (``gpu-2x-l40s``, but ``gpu-h100-2x``), so that each is written down. The list of the
day decides when it is deployed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gpuhub.errors import NoCapacity, SpecError, UnknownGpu
from gpuhub.gpus import GpuChoice, resolve

__all__ = ["CPU", "FAMILIES", "HARDWARE", "Selection", "available", "select"]

CPU = "cpu"

HARDWARE: Mapping[str, Mapping[int, str]] = {
    "T4": {1: "gpu-t4"},
    "L40S": {1: "gpu-l40s", 2: "gpu-2x-l40s", 4: "gpu-4x-l40s", 8: "gpu-8x-l40s"},
    "A100-80GB": {
        1: "gpu-a100-large",
        2: "gpu-a100-large-2x",
        4: "gpu-a100-large-4x",
        8: "gpu-a100-large-8x",
    },
    "H100": {1: "gpu-h100", 2: "gpu-h100-2x", 4: "gpu-h100-4x", 8: "gpu-h100-8x"},
    # Older, and perhaps gone: last, so that no memory query chooses it.
    "A40": {
        1: "gpu-a40-large",
        2: "gpu-a40-large-2x",
        4: "gpu-a40-large-4x",
        8: "gpu-a40-large-8x",
    },
}
"""Canonical name -> SKU by number of GPUs; cheapest first."""

FAMILIES = {"A100": "A100-80GB", "H100": "H100"}


@dataclass(frozen=True, slots=True)
class Selection:
    """What a function's choices come to.

    Attributes:
        skus: Hardware, in the order of the choices: the first that Replicate lists is taken.
        notes: How this differs from what was asked; empty when it does not.
    """

    skus: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> str:
        """The one that is planned with."""
        return self.skus[0]


def select(choices: Sequence[GpuChoice], hardware: str | None = None) -> Selection:
    """Narrow choices to hardware; none means CPU.

    Args:
        choices: What the function asks for, in order.
        hardware: SKU that it names itself.

    Raises:
        UnknownGpu: Replicate has a card for none of them, or not so many of it.
        SpecError: It names an SKU and a GPU.
    """
    if hardware is not None:
        if choices:
            raise SpecError(
                f"options: replicate.hardware is {hardware!r}, and gpu is set too",
                next_step="leave one of them out",
                provider="replicate",
            )
        return Selection((hardware,), ("named in options.replicate.hardware",))
    if not choices:
        return Selection((CPU,))
    found = resolve(choices, HARDWARE, provider="Replicate", families=FAMILIES, skip_missing=True)
    skus = [each.native[each.count] for each in found if each.count in each.native]
    if not skus:
        counts = ", ".join(map(str, found[0].native))
        example = f"{found[0].gpu.name}:{min(found[0].native)}"
        raise UnknownGpu(
            f"gpu: Replicate has {found[0].gpu.name} {counts} at a time (asked: {found[0].count})",
            next_step=f"use one of these counts, as in {example!r}",
            provider="replicate",
        )
    notes = [f"{each.choice} means {each.gpu.name} here" for each in found if not each.exact]
    kept = {str(each.choice) for each in found if each.count in each.native}
    if left_out := [str(choice) for choice in choices if str(choice) not in kept]:
        notes.append(f"left out, Replicate does not have it: {', '.join(left_out)}")
    if len(skus) > 1:
        notes.append(f"the first that Replicate lists is taken: {', '.join(skus)}")
    return Selection(tuple(dict.fromkeys(skus)), tuple(notes))


def available(selection: Selection, listed: Collection[str]) -> str:
    """Give the first hardware of a selection that Replicate lists now.

    Raises:
        NoCapacity: It lists none of it.
    """
    for sku in selection.skus:
        if sku in listed:
            return sku
    raise NoCapacity(
        f"gpu: Replicate does not list {' or '.join(selection.skus)} (any more); it lists"
        f" {', '.join(sorted(listed)) or 'nothing'}",
        provider="replicate",
        accepted=False,
        next_step="choose one of these: by `gpu`, or options={'replicate': {'hardware': …}}",
    )
