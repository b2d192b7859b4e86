"""``gpuhub diff``: what changes with the one config line."""

from __future__ import annotations

from dataclasses import dataclass
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
from gpuhub.errors import SpecError
from gpuhub.plan import CostEstimate

if TYPE_CHECKING:
    from gpuhub._decorated import Decorated
    from gpuhub.plan import Plan, Row

__all__ = ["diff"]

_COMPARED = ("native", "value", "fidelity", "reason", "cost")


@dataclass(frozen=True, slots=True)
class _Answer:
    """One provider's: a plan, or why it cannot run the function."""

    plan: Plan | None = None
    refused: str | None = None

    def cost(self) -> dict[str, Any]:
        return (CostEstimate() if self.plan is None else self.plan.cost).to_dict()


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
    documents = [_document(*each) for each in _plans(run, found, first, second)]
    run.out.result(
        {"from": first, "to": second, "deployments": documents},
        *[_shown(each, first, second) for each in documents],
    )
    if exit_code and not all(each["same"] for each in documents):
        raise typer.Exit(DIFFERS)


def _plans(run: Run, target: Target, first: str, second: str) -> list[tuple[str, _Answer, _Answer]]:
    """Plan with each. What one cannot honour is a row of the answer, not an error."""
    start = target.workspace.settings.root
    before, after = [run.workspace(start, provider=name) for name in (first, second)]
    objects: tuple[Any, ...] = target.objects
    both = [(each.in_workspace(before), each.in_workspace(after)) for each in objects]
    return [(one.deployment_name, _answer(one), _answer(other)) for one, other in both]


def _answer(function: Decorated) -> _Answer:
    try:
        return _Answer(function.plan(refuse=False))
    except SpecError as error:
        return _Answer(refused=error.message)


def _document(deployment: str, before: _Answer, after: _Answer) -> dict[str, Any]:
    rows = [
        {"field": one.field, "from": _facts(one), "to": _facts(other)}
        for one, other in _rows(before, after)
        if _facts(one) != _facts(other)
    ]
    sides = {"from": before, "to": after}
    costs = {side: answer.cost() for side, answer in sides.items()}
    refused = {side: answer.refused for side, answer in sides.items()}
    same = not rows and costs["from"] == costs["to"] and refused["from"] == refused["to"]
    facts = {"deployment": deployment, "same": same, "refused": refused}
    return facts | {"rows": rows, "cost": costs}


def _rows(before: _Answer, after: _Answer) -> list[tuple[Row, Row]]:
    """Pairs for the same field; none where one provider cannot run the function at all."""
    if before.plan is None or after.plan is None:
        return []
    return [(row, after.plan.row(row.field)) for row in before.plan.rows]


def _facts(row: Row) -> dict[str, Any]:
    facts = row.to_dict()
    return {name: facts[name] for name in _COMPARED}


def _shown(document: dict[str, Any], first: str, second: str) -> Group:
    title = Text.assemble((document["deployment"], "bold"), f": {first} to {second}")
    if document["same"]:
        return Group(title, Text("no differences"))
    refusals = [
        Text(f"{name} cannot run it: {reason}")
        for side, name in (("from", first), ("to", second))
        if (reason := document["refused"][side])
    ]
    if refusals:
        return Group(title, *refusals)
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
