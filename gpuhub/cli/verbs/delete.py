"""``gpuhub delete``: remove deployments, also those that nothing here knows any more."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from gpuhub.cli.completion import complete_deployments
from gpuhub.cli.names import find_deployments
from gpuhub.cli.run import Run
from gpuhub.cli.unfinished import Found, look_up
from gpuhub.errors import SpecError

__all__ = ["delete"]


def delete(
    run: Run,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Function, deployment, target or address.",
            autocompletion=complete_deployments,
            show_default=False,
        ),
    ] = None,
    *,
    orphans: Annotated[
        bool,
        typer.Option(
            "--orphans", help="Delete what interrupted deploys left at the provider instead."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove all that deploy made: it stops billing.

    --orphans looks up every deploy whose end is not known, at its provider, and deletes what it
    made if no finished deploy uses it.
    """
    if orphans == (name is not None):
        raise SpecError(
            "delete takes either a name or --orphans", next_step="see `gpuhub status` for names"
        )
    if orphans:
        _delete_orphans(run, yes=yes)
    elif name is not None:
        _delete_named(run, name, yes=yes)


def _delete_named(run: Run, name: str, *, yes: bool) -> None:
    found = find_deployments(run, name)
    names = [f"{each.ref.name} on {each.ref.provider}" for each in found]
    run.confirm(f"this deletes {', '.join(names)}, with all versions", yes=yes)
    deleted = []
    for each in found:
        each.endpoint.delete()
        deleted.append(each.ref.name)
    run.out.result({"deleted": deleted}, *[Text(f"deleted {each}") for each in names])


def _delete_orphans(run: Run, *, yes: bool) -> None:
    looked_up = look_up(run.workspace())
    orphans = [each for each in looked_up if each.is_orphan]
    unknown = [each for each in looked_up if each.outcome == "not-looked-up"]
    for each in unknown:
        run.out.warn(f"{each.deploy.name} on {each.deploy.provider}: {each.detail}")
    if orphans:
        names = ", ".join(f"{each.deploy.name} on {each.deploy.provider}" for each in orphans)
        run.confirm(f"this deletes {names}", yes=yes)
    for each in orphans:
        _delete_orphan(run, each)
    document: dict[str, Any] = {
        "deleted": [each.deploy.name for each in orphans],
        "not_looked_up": [each.to_dict() for each in unknown],
    }
    lines = [f"deleted {each.deploy.name} on {each.deploy.provider}" for each in orphans]
    run.out.result(document, *map(Text, lines or ["there are no orphans"]))


def _delete_orphan(run: Run, found: Found) -> None:
    workspace = run.workspace()
    session, ref = workspace.session(found.deploy.provider), found.ref
    if ref is not None:
        session.run(lambda io: session.deployments.delete(io, ref))
        workspace.journal.resolve_unfinished(found.deploy.record, "deleted as an orphan")
