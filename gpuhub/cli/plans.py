"""Plans as people read them; shared by ``plan``, ``deploy`` and ``diff``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from gpuhub.cli.cost import per_hour
from gpuhub.cli.output import pairs, styled, table

if TYPE_CHECKING:
    from gpuhub.plan import Plan, Row

__all__ = ["plan_header", "plan_report", "plan_requests", "shown_value"]


def plan_report(plan: Plan, *, requests: bool = False) -> Group:
    """The whole plan: header, translation report, warnings, and the requests if asked."""
    rows = [_row(row) for row in plan.rows]
    parts: list[RenderableType] = [plan_header(plan)]
    parts += [Text.assemble(("warning: ", "bold yellow"), line) for line in plan.warnings]
    columns = "field", "set", "native", "value", "fidelity", "reason, cost"
    parts.append(table(*columns, rows=rows, whole=3))
    if requests:
        parts.append(plan_requests(plan))
    return Group(*parts)


def plan_header(plan: Plan) -> Group:
    """What it is, how the code travels, and what a worker costs."""
    facts = [
        ("ship", f"{plan.ship.mode}, {_size(plan.ship.size)}: {plan.ship.reason}"),
        ("bundle", f"{len(plan.bundle.files)} files, {_size(plan.bundle.size)}"),
        ("requests", str(len(plan.requests))),
        ("worker", per_hour(plan.cost.worker_usd_per_hour)),
        ("idle", per_hour(plan.cost.idle_usd_per_hour)),
    ]
    if plan.cost.source:
        facts.append(("prices", plan.cost.source))
    title = Text.assemble((plan.deployment, "bold"), " on ", (plan.provider, "bold"))
    return Group(title, pairs(facts))


def plan_requests(plan: Plan) -> Group:
    """The templates of what would be sent; secrets are names in them."""
    return Group(*(Text(json.dumps(each.to_dict(), indent=2)) for each in plan.requests))


def shown_value(value: Any) -> str:
    """A value of a row, short: JSON, with text left bare."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _row(row: Row) -> list[RenderableType]:
    mark = "yes" if row.set else ""
    native = row.native or ""
    value, fidelity = shown_value(row.value), styled(row.fidelity.value)
    why = Text(row.reason)
    if row.cost:
        why.append(f"{'; ' if row.reason else ''}cost: {row.cost}", style="yellow")
    return [row.field, mark, native, value, fidelity, why]


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"
