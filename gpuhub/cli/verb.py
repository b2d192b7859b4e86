"""Gives every verb the options that all of them have."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gpuhub.cli.completion import complete_providers
from gpuhub.cli.output import Output
from gpuhub.cli.run import Run, logging_to

__all__ = ["verb"]

_PROJECT = "Project"
_OUTPUT = "Output"


def _project_options(
    *,
    provider: Annotated[
        str | None,
        typer.Option(
            help="Provider. Default: as the project's settings say, else mock.",
            autocompletion=complete_providers,
            rich_help_panel=_PROJECT,
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Profile of the settings.", rich_help_panel=_PROJECT)
    ] = None,
    app: Annotated[
        str | None, typer.Option(help="Name of the app.", rich_help_panel=_PROJECT)
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder to look for gpuhub.toml in, and above. Default: the target's, else here.",
            exists=True,
            file_okay=False,
            rich_help_panel=_PROJECT,
        ),
    ] = None,
) -> None:
    """Hold the options that choose settings."""


def _output_options(
    *,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON.", rich_help_panel=_OUTPUT)
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Show what the library logs, and tracebacks of errors.",
            rich_help_panel=_OUTPUT,
        ),
    ] = False,
) -> None:
    """Hold the options about printing."""


def verb(
    body: Callable[..., None], *, project: bool = True, provider: bool = True
) -> Callable[..., None]:
    """Make a typer command of a verb's body.

    Args:
        body: Takes a :class:`Run` and the verb's own parameters.
        project: Whether it has ``--provider``, ``--profile``, ``--app`` and ``--root``.
        provider: Whether it has ``--provider``, where it has the others.
    """
    own = _parameters(body)[1:]
    chosen = [each for each in _parameters(_project_options) if provider or each.name != "provider"]
    common = [*(chosen if project else ()), *_parameters(_output_options)]

    @functools.wraps(body)
    def command(**given: Any) -> None:
        out = Output(json=given.pop("json"), verbose=given.pop("verbose"))
        options = {each.name: given.pop(each.name) for each in chosen} if project else {}
        with Run(out, **options) as run, logging_to(out), out.only():
            body(run, **given)

    command.__doc__ = _reflowed(inspect.getdoc(body) or "")
    # typer builds the options from what these two say.
    command.__signature__ = inspect.Signature([*own, *common])  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in [*own, *common]}
    return command


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters, annotations resolved, all passed by name."""
    signature = inspect.signature(function, eval_str=True)
    return [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in signature.parameters.values()
    ]


def _reflowed(text: str) -> str:
    """One line a paragraph: typer keeps the breaks of the source otherwise."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
