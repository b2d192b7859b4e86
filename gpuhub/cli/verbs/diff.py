"""``gpuhub diff``: what changes with the one config line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from gpuhub.cli.completion import complete_providers
from gpuhub.cli.cost import per_hour
from gpuhub.cli.exit_codes import DIFFERS
from gpuhub.cli.output import table
from gpuhub.cli.plans import shown_value
from gpuhub.cli.run import Run
from gpuhub.cli.targets import Target, TargetText, read_target

if TYPE_CHECKING:
    from gpuhub.plan import Plan, Row

__all__ = ["diff"]

_COMPARED = ("native", "value", "fidelity", "reason", "cost")


def diff(
    run: Run,
    target: TargetText,
    *,
    second: Annotated[
        str,
        typer.Option(
            "--to",
            help="Provider to compare with.",
            autocompletion=complete_providers,
            show_default=False,
        ),
    ],
    first: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Provider to compare. Default: as the project's settings say.",
            autocompletion=complete_providers,
            show_default=False,
        ),
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 when they differ, as git diff does.")
    ] = False,
) -> None:
    """Compare what two providers make of the same functions. Sends nothing.

    Shows the settings that arrive differently: GPU, defaults, limits, what cannot be honoured,
    and the price per hour.
    """
    found = read_target(run, target)
    first = first or found.workspace.settings.provider
    pairs = [(before, after) for before, after in _plans(run, found, first, second)]
    documents = [_document(before, after) for before, after in pairs]
    run.out.result(
        {"from": first, "to": second, "deployments": documents},
        *[_shown(each, first, second) for each in documents],
    )
    if exit_code and not all(each["same"] for each in documents):
        raise typer.Exit(DIFFERS)


def _plans(run: Run, target: Target, first: str, second: str) -> list[tuple[Plan, Plan]]:
    """Plan with each. What one cannot honour is a row of the answer, not an error."""
    start = target.workspace.settings.root
    before, after = [
        run.workspace(start, provider=name, on_unsupported="warn") for name in (first, second)
    ]
    objects: tuple[Any, ...] = target.objects
    return [(each.in_workspace(before).plan(), each.in_workspace(after).plan()) for each in objects]


def _document(before: Plan, after: Plan) -> dict[str, Any]:
    rows = [
        {"field": one.field, "from": _facts(one), "to": _facts(other)}
        for one in before.rows
        for other in [after.row(one.field)]
        if _facts(one) != _facts(other)
    ]
    costs = {"from": before.cost.to_dict(), "to": after.cost.to_dict()}
    same = not rows and costs["from"] == costs["to"]
    return {"deployment": before.deployment, "same": same, "rows": rows, "cost": costs}


def _facts(row: Row) -> dict[str, Any]:
    facts = row.to_dict()
    return {name: facts[name] for name in _COMPARED}


def _shown(document: dict[str, Any], first: str, second: str) -> Group:
    title = Text.assemble((document["deployment"], "bold"), f": {first} to {second}")
    if document["same"]:
        return Group(title, Text("no differences"))
    rows = [
        [row["field"], _cell(row["from"]), _cell(row["to"]), _why(row["from"], row["to"])]
        for row in document["rows"]
    ]
    costs = document["cost"]
    for name, key in [("worker", "worker_usd_per_hour"), ("idle", "idle_usd_per_hour")]:
        if costs["from"][key] != costs["to"][key]:
            prices = per_hour(costs["from"][key]), per_hour(costs["to"][key])
            rows.append([f"price ({name})", *prices, ""])
    return Group(title, table("field", first, second, "why", rows=rows))


def _cell(facts: dict[str, Any]) -> RenderableType:
    sent = f"{facts['native']} = " if facts["native"] else ""
    return f"{sent}{shown_value(facts['value'])} ({facts['fidelity']})".strip()


def _why(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What the second provider says; the first's own words where it says nothing."""
    parts = [after["reason"] or before["reason"], after["cost"] or before["cost"]]
    return "; ".join(part for part in parts if part)
