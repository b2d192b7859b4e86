"""``gpuhub export --provider baseten``: the Truss folder that a deploy pushes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub_baseten.translate import files_of

if TYPE_CHECKING:
    from gpuhub.plan import Plan

__all__ = ["export"]


def export(plan: Plan, folder: Path) -> None:
    """Write a plan's Truss folder, as ``truss push`` takes it.

    Args:
        plan: What would be deployed.
        folder: Where; it exists.
    """
    for path, content in files_of(plan).items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
