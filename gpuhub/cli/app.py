"""The ``gpuhub`` command: all verbs, put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from gpuhub.cli.group import Root
from gpuhub.cli.verb import verb
from gpuhub.cli.verbs.call import call_cancel, call_result, call_state
from gpuhub.cli.verbs.delete import delete
from gpuhub.cli.verbs.deploy import deploy
from gpuhub.cli.verbs.diff import diff
from gpuhub.cli.verbs.doctor import doctor
from gpuhub.cli.verbs.emulator import emulator
from gpuhub.cli.verbs.export import export
from gpuhub.cli.verbs.gpus import gpus
from gpuhub.cli.verbs.init import init
from gpuhub.cli.verbs.invoke import invoke
from gpuhub.cli.verbs.logs import logs
from gpuhub.cli.verbs.map import map_items
from gpuhub.cli.verbs.plan import plan
from gpuhub.cli.verbs.providers import providers
from gpuhub.cli.verbs.scale import scale
from gpuhub.cli.verbs.serve import serve
from gpuhub.cli.verbs.status import status
from gpuhub.cli.verbs.versions import rollback, versions
from gpuhub.cli.verbs.warm import warm

__all__ = ["app"]

_BEGIN = "Begin"
_DEPLOY = "Deploy"
_CALL = "Call"
_OPERATE = "Operate"
_LOOK = "Look things up"

# Name, body, and the heading it stands under in the help.
_VERBS: tuple[tuple[str, Callable[..., None], str], ...] = (
    ("serve", serve, _BEGIN),
    ("plan", plan, _DEPLOY),
    ("deploy", deploy, _DEPLOY),
    ("export", export, _DEPLOY),
    ("invoke", invoke, _CALL),
    ("map", map_items, _CALL),
    ("status", status, _OPERATE),
    ("scale", scale, _OPERATE),
    ("logs", logs, _OPERATE),
    ("versions", versions, _OPERATE),
    ("rollback", rollback, _OPERATE),
    ("warm", warm, _OPERATE),
    ("delete", delete, _OPERATE),
    ("doctor", doctor, _LOOK),
    ("gpus", gpus, _LOOK),
)
# Verbs that name providers by themselves.
_WITHOUT_PROVIDER: tuple[tuple[str, Callable[..., None], str], ...] = (
    ("diff", diff, _DEPLOY),
    ("providers", providers, _LOOK),
    ("emulator", emulator, _LOOK),
)
_CALLS: tuple[tuple[str, Callable[..., None]], ...] = (
    ("state", call_state),
    ("result", call_result),
    ("cancel", call_cancel),
)

app = typer.Typer(
    cls=Root,
    name="gpuhub",
    help="One decorator and one Endpoint over every serverless-GPU provider.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
_calls = typer.Typer(help="Follow a spawned call by its id.", no_args_is_help=True)


def _print_version(asked: bool) -> None:
    if asked:
        from gpuhub.cli.environment import gpuhub_version

        typer.echo(f"gpuhub {gpuhub_version()}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


def _assemble() -> None:
    app.command("init", rich_help_panel=_BEGIN)(verb(init, project=False))
    for name, body, panel in _VERBS:
        app.command(name, rich_help_panel=panel)(verb(body))
    for name, body, panel in _WITHOUT_PROVIDER:
        app.command(name, rich_help_panel=panel)(verb(body, provider=False))
    for name, body in _CALLS:
        _calls.command(name)(verb(body, provider=False))
    app.add_typer(_calls, name="call", rich_help_panel=_CALL)


_assemble()
