"""``gpuhub versions`` and ``gpuhub rollback``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from gpuhub.cli.durations import date_time
from gpuhub.cli.names import Name, find_deployment
from gpuhub.cli.output import table
from gpuhub.cli.run import Run

if TYPE_CHECKING:
    from gpuhub.adapter import Version

__all__ = ["rollback", "versions"]


def versions(run: Run, name: Name) -> None:
    """List the versions the provider keeps, newest first."""
    deployment = find_deployment(run, name)
    found = deployment.endpoint.versions()
    document = {
        "deployment": deployment.ref.name,
        "provider": deployment.ref.provider,
        "versions": [asdict(each) for each in found],
    }
    columns = "version", "created", "serves", "detail"
    run.out.result(document, table(*columns, rows=[_row(each) for each in found]))


def _row(version: Version) -> list[str]:
    serves = "yes" if version.current else ""
    return [version.id, date_time(version.created_at), serves, version.detail]


def rollback(
    run: Run,
    name: Name,
    version: Annotated[
        str | None,
        typer.Argument(
            help="As `gpuhub versions` lists it. Default: the one before the current.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve an older version again."""
    deployment = find_deployment(run, name)
    now = deployment.endpoint.rollback(version)
    document = {
        "deployment": deployment.ref.name,
        "provider": deployment.ref.provider,
        "version": now,
    }
    run.out.result(document, Text(f"{deployment.ref.name} serves version {now}"))
