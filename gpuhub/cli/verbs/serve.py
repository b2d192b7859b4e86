"""``gpuhub serve``: the development loop."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from gpuhub.cli.run import Run
from gpuhub.cli.signals import until_stopped
from gpuhub.cli.targets import TargetText
from gpuhub.errors import SpecError

__all__ = ["serve"]


def serve(
    run: Run,
    target: TargetText,
    *,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="Port of the first function; the others follow. 0: free ones."
        ),
    ] = 8000,
) -> None:
    """Run functions on this machine behind HTTP, and restart them whenever a file is saved.

    Each function gets a worker of its own, the same code as in a container. Errors in the code
    are shown, and the loop goes on. Ctrl-C ends it, with exit code 0. With --json one event a line.
    """
    from gpuhub.cli.serving.building import Order
    from gpuhub.cli.serving.events import Events
    from gpuhub.cli.serving.local_worker import is_free
    from gpuhub.cli.serving.loop import Loop, rounds

    if not is_free(port):
        raise SpecError(f"port {port} is taken", next_step="choose another with --port; 0: any")
    settings = run.workspace(_folder(target)).settings
    events = Events(run.out)
    with until_stopped() as stop, tempfile.TemporaryDirectory(prefix="gpuhub-serve-") as scratch:
        order = Order(target, scratch, run.out.json, run.out.verbose, _options(run))
        loop = Loop(order, port, events)
        try:
            for _ in rounds(settings.root, settings.include, stop):
                loop.round()
        except KeyboardInterrupt:
            events.note("stopped")
        finally:
            loop.stop()


def _folder(target: str) -> Path:
    """Where the project is looked for, without importing anything."""
    place = target.partition("::")[0]
    is_file = place.endswith(".py") or os.sep in place
    return Path(place).resolve().parent if is_file else Path.cwd()


def _options(run: Run) -> dict[str, str]:
    given = {"provider": run.provider, "profile": run.profile, "app": run.app, "root": run.root}
    return {name: str(value) for name, value in given.items() if value is not None}
