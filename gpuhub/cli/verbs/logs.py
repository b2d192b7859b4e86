"""``gpuhub logs``: what the workers print."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from gpuhub.cli.durations import clock_time, read_duration
from gpuhub.cli.names import Name, find_deployment
from gpuhub.cli.run import Run

if TYPE_CHECKING:
    from gpuhub.adapter import LogLine

__all__ = ["logs"]

_STYLES = {"stderr": "yellow", "system": "dim", "build": "cyan"}


def logs(
    run: Run,
    name: Name,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How far back: 90s, 10m, 2h. Default: all there is."),
    ] = None,
) -> None:
    """Print log lines, oldest first. With --json one object a line."""
    seconds = None if since is None else read_duration(since)
    endpoint = find_deployment(run, name).endpoint
    for line in endpoint.logs(since=seconds, follow=follow):
        run.out.line(asdict(line), _shown(line))


def _shown(line: LogLine) -> Text:
    where = f"{line.worker} " if line.worker else ""
    style = _STYLES.get(line.source, "")
    return Text.assemble((f"{clock_time(line.time)} {where}", "dim"), (line.message, style))
