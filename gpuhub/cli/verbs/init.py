"""``gpuhub init``: a project to start with, which runs as it is."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated

import typer
from rich.text import Text

from gpuhub.cli.completion import complete_providers
from gpuhub.cli.run import Run
from gpuhub.errors import SpecError

__all__ = ["init"]

_FILES = {
    "gpuhub.toml": "gpuhub.toml.txt",
    "app.py": "app.py.txt",
    "README.md": "README.md.txt",
    ".gitignore": "gitignore.txt",
    "conftest.py": "conftest.py.txt",
    "tests/test_app.py": "test_app.py.txt",
}


def init(
    run: Run,
    folder: Annotated[
        Path, typer.Argument(help="Folder of the project; made if need be.", file_okay=False)
    ] = Path(),
    *,
    app: Annotated[
        str | None, typer.Option(help="Name of the app. Default: the folder's, made so.")
    ] = None,
    provider: Annotated[
        str, typer.Option(help="Provider to start with.", autocompletion=complete_providers)
    ] = "mock",
) -> None:
    """Write a project that deploys and passes its test as it is. Never overwrites a file."""
    from gpuhub import registry
    from gpuhub._settings_checks import safe_app_name

    registry.load(provider)
    if existing := [name for name in _FILES if (folder / name).exists()]:
        raise SpecError(
            f"{folder.resolve()} has {', '.join(existing)} already: nothing was written",
            next_step="name a new folder: gpuhub init NAME",
        )
    values = {"app": app or safe_app_name(folder.resolve().name), "provider": provider}
    for name, template in _FILES.items():
        _write(folder / name, template, values)
    steps = "gpuhub deploy app.py"
    if folder.resolve() != Path.cwd().resolve():
        steps = f"cd {folder}, then {steps}"
    document = {"folder": str(folder.resolve()), "files": list(_FILES), **values}
    run.out.result(document, *(Text(f"wrote {folder / name}") for name in _FILES))
    run.out.note(f"next: {steps}")


def _write(place: Path, template: str, values: dict[str, str]) -> None:
    text = (files("gpuhub.cli") / "template" / template).read_text("utf-8")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(Template(text).substitute(values), "utf-8")
