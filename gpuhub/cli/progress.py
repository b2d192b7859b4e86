"""Progress on standard error: a spinner for deploys, a bar for maps; nothing in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from gpuhub.cli.output import Output

if TYPE_CHECKING:
    from gpuhub.adapter import EndpointStatus, WorkerCounts

__all__ = ["deploy_progress", "map_progress", "workers_in_words"]


@contextmanager
def deploy_progress(out: Output, name: str) -> Iterator[Callable[[EndpointStatus], None]]:
    """Show what the provider says of a rollout, at every look."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    bar = Progress(*columns, console=out.errors, transient=True, disable=not out.shows_progress)
    with bar:
        task = bar.add_task(f"{name}: planning the rollout", total=None)
        yield lambda status: bar.update(task, description=f"{name}: {_in_words(status)}")


@contextmanager
def map_progress(
    out: Output, name: str, *, prints_results: bool
) -> Iterator[Callable[[int, int | None], None]]:
    """Show how many items have ended.

    Args:
        out: Where.
        name: The deployment.
        prints_results: Whether results go to standard output: on a terminal they show the
            progress, and a bar would only be in their way.
    """
    hidden = not out.shows_progress or (prints_results and out.console.is_terminal)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    bar = Progress(*columns, TimeElapsedColumn(), console=out.errors, disable=hidden)
    with bar:
        task = bar.add_task(name, total=None)
        yield lambda finished, total: bar.update(task, completed=finished, total=total)


def _in_words(status: EndpointStatus) -> str:
    parts = [status.rollout.value, workers_in_words(status.workers), status.detail]
    return ", ".join(part for part in parts if part)


def workers_in_words(workers: WorkerCounts | None) -> str:
    """Workers by state, those there are; empty when the provider does not tell."""
    if workers is None:
        return ""
    counts = {name: getattr(workers, name) for name in workers.__slots__}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no workers"
