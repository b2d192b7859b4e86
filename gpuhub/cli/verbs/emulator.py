"""``gpuhub emulator``: play a provider on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from gpuhub.cli.completion import complete_providers
from gpuhub.cli.optional import providing, require_function
from gpuhub.cli.run import Run
from gpuhub.cli.signals import until_stopped

if TYPE_CHECKING:
    from gpuhub.testing.emulator import Emulator

__all__ = ["emulator"]


def emulator(
    run: Run,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[PROVIDER]",
            help="Which provider to play.",
            autocompletion=complete_providers,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Play a provider on loopback until Ctrl-C. Without arguments: which adapters can.

    Prints the variables that point gpuhub at it. With --json one object, at the start.
    """
    workspace = run.workspace()
    if name is None:
        names = providing(workspace, "emulator")
        listed = ", ".join(names) or "none of the installed adapters"
        run.out.result({"providers": names}, Text(f"have an emulator: {listed}"))
        return
    played: Emulator = require_function(workspace, name, "emulator")()
    with until_stopped() as stopped:
        urls = played.start()
        try:
            _announce(run, name, urls)
            stopped.wait()
        finally:
            played.stop()


def _announce(run: Run, name: str, urls: Mapping[str, str]) -> None:
    prefix = f"GPUHUB_{name}_".replace("-", "_").upper()
    variables = {f"{prefix}{key.upper()}": url for key, url in urls.items()}
    lines = [f"export {variable}={url}" for variable, url in variables.items()]
    document: dict[str, Any] = {"provider": name, "urls": dict(urls), "variables": variables}
    run.out.line(document, Text("\n".join(lines)))
    run.out.note(f"{name} is played here; Ctrl-C ends it")
