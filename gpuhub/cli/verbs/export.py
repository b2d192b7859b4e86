"""``gpuhub export``: files for the provider's own tools, where its adapter can write them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from gpuhub.cli.optional import providing, require_function
from gpuhub.cli.run import Run
from gpuhub.cli.targets import TARGET_HELP, read_target
from gpuhub.errors import SpecError

__all__ = ["export"]


def export(
    run: Run,
    target: Annotated[
        str | None, typer.Argument(help=TARGET_HELP, metavar="[TARGET]", show_default=False)
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="New or empty folder; with several functions one below it for each.",
            file_okay=False,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write what the provider's own tools deploy. Without arguments: which adapters can."""
    if target is None:
        _list(run)
        return
    found = read_target(run, target)
    provider = found.workspace.settings.provider
    write: Any = require_function(found.workspace, provider, "export")
    base = folder or Path(f"{found.workspace.settings.app}-{provider}")
    if base.exists() and any(base.iterdir()):
        raise SpecError(f"the folder {base} is not empty", next_step="name another, or empty it")
    plans = [each.plan() for each in found.objects]
    places = {
        plan.deployment: base if len(plans) == 1 else base / plan.deployment for plan in plans
    }
    for plan in plans:
        places[plan.deployment].mkdir(parents=True, exist_ok=True)
        write(plan, places[plan.deployment])
    exported = [
        {"deployment": name, "folder": str(place), "files": _files(place)}
        for name, place in places.items()
    ]
    lines = [f"{each['deployment']}: {each['folder']}" for each in exported]
    run.out.result({"provider": provider, "exported": exported}, *map(Text, lines))


def _list(run: Run) -> None:
    names = providing(run.workspace(), "export")
    listed = ", ".join(names) or "none of the installed adapters"
    run.out.result({"providers": names}, Text(f"can export: {listed}"))


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
