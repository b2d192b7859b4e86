"""A project for Cog's own tools: ``gpuhub export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub_replicate.cog_cli import write_project
from gpuhub_replicate.image import Contents

if TYPE_CHECKING:
    from pathlib import Path

    from gpuhub.plan import Plan

__all__ = ["export"]


def export(plan: Plan, folder: Path) -> None:
    """Write what ``cog build`` and ``cog push`` take. Secrets are left out.

    Args:
        plan: Of the function.
        folder: Existing, empty folder.
    """
    contents = Contents(plan.spec, plan.bundle, has_cog_layer=False)
    write_project(contents, contents.env(), folder)
