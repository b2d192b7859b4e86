"""``gpuhub providers``: who can do what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from gpuhub.cli.completion import complete_providers
from gpuhub.cli.environment import adapters
from gpuhub.cli.output import styled, table
from gpuhub.cli.run import Run

if TYPE_CHECKING:
    from gpuhub.workspace import Workspace

__all__ = ["providers"]


def providers(
    run: Run,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[PROVIDER]",
            help="Show one provider's capabilities, with how or why not.",
            autocompletion=complete_providers,
            show_default=False,
        ),
    ] = None,
    *,
    capabilities: Annotated[
        bool, typer.Option("--capabilities", help="Show the capabilities of all, side by side.")
    ] = False,
) -> None:
    """List the installed adapters: credentials, limits, capabilities."""
    workspace = run.workspace()
    known = adapters(workspace)
    if name is not None:
        workspace.adapter_module(name)  # its error lists the names
        document = next(each for each in known if each["name"] == name)
        features = _capabilities(workspace, name)
        run.out.result(document | {"capabilities": features}, _details(features))
    elif capabilities:
        matrix = {
            each["name"]: _capabilities(workspace, each["name"]) for each in known if each["title"]
        }
        run.out.result({"capabilities": matrix}, _matrix(matrix))
    else:
        run.out.result({"providers": known}, _overview(known))


def _capabilities(workspace: Workspace, name: str) -> dict[str, dict[str, str]]:
    adapter = workspace.adapter_module(name).create(workspace.provider_settings(name))
    return {
        feature.value: {"level": support.level.value, "how": support.how}
        for feature, support in adapter.capabilities.items()
    }


def _details(features: dict[str, dict[str, str]]) -> RenderableType:
    rows: list[list[RenderableType]] = [
        [name, styled(each["level"]), each["how"]] for name, each in features.items()
    ]
    return table("feature", "support", "how, or why not", rows=rows)


def _matrix(matrix: dict[str, dict[str, dict[str, str]]]) -> RenderableType:
    names = list(dict.fromkeys(name for each in matrix.values() for name in each))
    missing = {"level": "unsupported"}
    rows: list[list[RenderableType]] = [
        [name, *(styled(each.get(name, missing)["level"]) for each in matrix.values())]
        for name in names
    ]
    return table("feature", *matrix, rows=rows)


def _overview(known: list[dict[str, Any]]) -> RenderableType:
    return table(
        *("provider", "title", "state", "payload", "call timeout", "workers"),
        rows=[_row(each) for each in known],
    )


def _row(each: dict[str, Any]) -> list[RenderableType]:
    limits = each.get("limits", {})
    state = Text("ready", "green") if each["usable"] else Text(each["problem"], "yellow")
    name = Text(f"{each['name']} (selected)" if each["selected"] else each["name"])
    return [
        name,
        each["title"],
        state,
        _limit(limits.get("payload_bytes"), "bytes"),
        _limit(limits.get("timeout_s"), "s"),
        _limit(limits.get("max_workers"), ""),
    ]


def _limit(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:,g} {unit}".strip() if value < 1e6 else _large(value)


def _large(value: float) -> str:
    return f"{value / 1e6:,.0f} MB"
