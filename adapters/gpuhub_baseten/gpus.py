"""Which cards Baseten has, and what a function's choices come to there. Pure.

Names: ``Accelerator`` of Truss 0.18.35 (``truss/base/truss_config.py``), case-sensitive. What is
behind them is taken to be: ``A100`` 80 GB, ``V100`` 16 GB, ``H100_40GB`` half a card; the memory is
in ``GET /v1/instance_types`` of an account, which has not been read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpuhub.gpus import GpuChoice, resolve

__all__ = ["CARDS", "FAMILIES", "Selection", "select"]

CARDS: Mapping[str, str] = {
    "T4": "T4",
    "L4": "L4",
    "A10G": "A10G",
    "V100-16GB": "V100",
    "L40S": "L40S",
    "A100-40GB": "A100_40GB",
    "H100-MIG-40GB": "H100_40GB",
    "A100-80GB": "A100",
    "RTX-PRO-6000": "RTX_PRO_6000",
    "H100": "H100",
    "H200": "H200",
    "B200": "B200",
    "B300": "B300",
    "GB300": "GB300",
}
"""Canonical name -> Baseten's, in the order in which a memory query takes them: small cards first,
as no price list is public."""

FAMILIES = {"A100": "A100-80GB", "V100": "V100-16GB", "H100": "H100"}


@dataclass(frozen=True, slots=True)
class Selection:
    """What a function's choices come to.

    Attributes:
        accelerator: As ``resources.accelerator`` takes it, such as ``"H100:2"``.
        notes: How this differs from what was asked; empty when it does not.
    """

    accelerator: str
    notes: tuple[str, ...] = ()


def select(choices: Sequence[GpuChoice]) -> Selection:
    """Take the first choice that Baseten has.

    Raises:
        UnknownGpu: It has none of them; names the nearest that exist.
    """
    found = resolve(choices, CARDS, provider="Baseten", families=FAMILIES, skip_missing=True)
    first = found[0]
    notes = [] if first.exact else [f"{first.choice} means {first.gpu.name} here"]
    rest = [str(choice) for choice in choices if choice != first.choice]
    if rest:
        notes.append(f"a deployment has one card: not used: {', '.join(rest)}")
    count = "" if first.count == 1 else f":{first.count}"
    return Selection(f"{first.native}{count}", tuple(notes))
