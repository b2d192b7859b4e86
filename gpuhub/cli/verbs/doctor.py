"""``gpuhub doctor``: what is configured, installed and left over."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from gpuhub.adapter import FinishesDeletes
from gpuhub.cli.durations import date_time
from gpuhub.cli.environment import adapters, extras, gpuhub_version, python_facts
from gpuhub.cli.output import pairs, table
from gpuhub.cli.run import Run
from gpuhub.cli.unfinished import reconcile
from gpuhub.errors import GpuHubError

if TYPE_CHECKING:
    from gpuhub.workspace import Workspace

__all__ = ["doctor"]

_OUTCOMES = {
    "adopted": "it exists and was adopted; deploy again to be sure of its version",
    "not-created": "it was not created; the record is closed",
    "running": "still running",
    "not-looked-up": "the provider could not be asked",
}


def doctor(run: Run) -> None:
    """Show where each setting comes from, what is installed, and what was left unfinished.

    Secrets are never shown. Deploys that were interrupted are looked up at their provider: one
    that exists is adopted, one that was never created is closed. What was deleted and had to
    wait at the provider is removed.
    """
    workspace = run.workspace()
    document: dict[str, Any] = {
        "gpuhub": gpuhub_version(),
        **python_facts(),
        "extras": extras(),
        "project_file": _text(workspace.settings.file),
        "settings": _settings(workspace),
        "adapters": adapters(workspace),
        "unfinished_deploys": [each.to_dict() for each in reconcile(workspace)],
        "open_calls": _open_calls(workspace),
        "finished_deletes": _finished_deletes(workspace),
    }
    document["problems"] = _problems(document)
    run.out.result(document, *_shown(document))


def _finished_deletes(workspace: Workspace) -> list[str]:
    """Remove what the selected provider had to keep for a while; not where it cannot be asked."""
    with suppress(GpuHubError):
        session = workspace.session()
        if isinstance(session.adapter, FinishesDeletes):
            return list(session.run(session.adapter.finish_deletes))
    return []


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _settings(workspace: Workspace) -> list[dict[str, str]]:
    from gpuhub.settings import explain

    selected = workspace.provider_settings(workspace.settings.provider)
    rows = explain(workspace.settings, selected)
    return [{"key": each.key, "value": each.value_masked, "origin": each.origin} for each in rows]


def _open_calls(workspace: Workspace) -> list[dict[str, Any]]:
    return [
        {
            "call": _text(each.call),
            "provider": each.provider,
            "deployment": each.deployment,
            "mode": each.mode,
            "begun_at": each.begun_at,
        }
        for each in workspace.journal.open_calls()
    ]


def _problems(document: dict[str, Any]) -> list[str]:
    """What the reader should act on."""
    found = [
        f"{each['name']}: {each['problem']}"
        for each in document["adapters"]
        if each["selected"] and each["problem"]
    ]
    if document["project_file"] is None:
        found.append("there is no gpuhub.toml here or above; `gpuhub init` writes one")
    found += [
        f"{each['deployment']} on {each['provider']}: an interrupted deploy could not be looked "
        f"up: {each['detail']}"
        for each in document["unfinished_deploys"]
        if each["outcome"] == "not-looked-up"
    ]
    return found


def _shown(document: dict[str, Any]) -> list[RenderableType]:
    parts: list[RenderableType] = [
        pairs(
            [
                ("gpuhub", document["gpuhub"]),
                ("python", f"{document['python']} on {document['system']}"),
                ("extras", _extras(document["extras"])),
                ("project file", document["project_file"] or "none"),
            ]
        ),
        table("setting", "value", "from", rows=[[*each.values()] for each in document["settings"]]),
        table("adapter", "title", "state", rows=map(_adapter, document["adapters"])),
    ]
    if deploys := [_deploy(each) for each in document["unfinished_deploys"]]:
        parts.append(table("interrupted deploy", "provider", "begun", "outcome", rows=deploys))
    if calls := [_call(each) for each in document["open_calls"]]:
        parts.append(table("open call", "deployment", "begun", rows=calls))
    parts += [Text(f"removed {each}, deleted before") for each in document["finished_deletes"]]
    parts += [Text.assemble(("problem: ", "bold yellow"), each) for each in document["problems"]]
    if not document["problems"]:
        parts.append(Text("no problems found", style="green"))
    return parts


def _extras(found: dict[str, bool]) -> str:
    return ", ".join(f"{name} {'installed' if there else '-'}" for name, there in found.items())


def _adapter(each: dict[str, Any]) -> list[RenderableType]:
    state = Text("ready", "green") if each["usable"] else Text(each["problem"], "yellow")
    name = Text(each["name"], style="bold" if each["selected"] else "")
    return [name, each["title"], state]


def _deploy(each: dict[str, Any]) -> list[str]:
    outcome = _OUTCOMES[each["outcome"]]
    detail = f": {each['detail']}" if each["detail"] else ""
    return [each["deployment"], each["provider"], date_time(each["begun_at"]), outcome + detail]


def _call(each: dict[str, Any]) -> list[str]:
    name = each["call"] or "its id was never received"
    return [name, f"{each['provider']}://{each['deployment']}", date_time(each["begun_at"])]
