"""``gpuhub scale``: change the limits of the live deployment."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from gpuhub.cli.cost import scale_question
from gpuhub.cli.names import Name, find_deployment
from gpuhub.cli.run import Run
from gpuhub.errors import SpecError

__all__ = ["scale"]


def scale(
    run: Run,
    name: Name,
    *,
    min_workers: Annotated[int | None, typer.Option(min=0, help="Workers kept warm.")] = None,
    max_workers: Annotated[int | None, typer.Option(min=1, help="Most workers.")] = None,
    idle_timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds an idle worker stays.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Calls per worker.")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask about cost; for scripts.")
    ] = False,
) -> None:
    """Change worker limits until the next deploy, which sends those of the code again.

    Asks before workers are kept warm, since they are billed while idle.
    """
    given = {
        "min_workers": min_workers,
        "max_workers": max_workers,
        "idle_timeout": idle_timeout,
        "concurrency": concurrency,
    }
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if not changes:
        options = ", ".join(f"--{key.replace('_', '-')}" for key in given)
        raise SpecError("nothing to change was given", next_step=f"give one or more of {options}")
    deployment = find_deployment(run, name)
    if min_workers:
        cost = deployment.plan.get("cost", {})
        run.confirm(scale_question(deployment.ref.name, min_workers, cost), yes=yes)
    report = deployment.endpoint.scale(**changes)
    limits = report.scaling.model_dump(mode="json")
    document = {
        "deployment": deployment.ref.name,
        "provider": deployment.ref.provider,
        "scaling": limits,
        "until": report.until,
    }
    said = ", ".join(f"{key} {limits[key]}" for key in ("mode", *given))
    run.out.result(
        document, Text(f"{deployment.ref.name}: {said}"), Text(f"until {report.until}", "dim")
    )
