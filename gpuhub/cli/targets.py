"""TARGET: a file, a module, or one object in it; imports the user's code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpuhub.cli.importing import import_file, import_module
from gpuhub.errors import SpecError

if TYPE_CHECKING:
    from gpuhub._decorated import Decorated
    from gpuhub.cli.run import Run
    from gpuhub.workspace import Workspace

__all__ = ["TARGET_HELP", "Target", "TargetText", "looks_like_target", "one_object", "read_target"]

TARGET_HELP = "app.py (all functions in it), app.py::embed, or package.module:embed"

TargetText = Annotated[str, typer.Argument(metavar="TARGET", help=TARGET_HELP, show_default=False)]


@dataclass(frozen=True, slots=True)
class Target:
    """Decorated objects of the user's code.

    Attributes:
        text: As it was given.
        objects: At least one; bound to the run's workspace.
        workspace: The project around the file.
    """

    text: str
    objects: tuple[Decorated, ...]
    workspace: Workspace


def looks_like_target(text: str) -> bool:
    """Whether a text names code rather than a deployment."""
    return "://" not in text and (":" in text or text.endswith(".py") or os.sep in text)


def read_target(run: Run, text: str) -> Target:
    """Import the user's code and find the decorated objects.

    Raises:
        SpecError: There is no such file, module or object, or importing it failed.
        ConfigError: The project's settings are wrong.
    """
    place, mark, name = text.partition("::")
    if not mark and not text.endswith(".py"):
        place, _, name = text.rpartition(":") if ":" in text else (text, "", "")
    # Before the import: the user's module may read the settings itself.
    if place.endswith(".py") or os.sep in place:
        path = _existing(place)
        workspace = run.workspace(path.parent)
        module = import_file(path)
    else:
        workspace = run.workspace(Path.cwd())
        module = import_module(place)
    found = [_named(module, name)] if name else _all_of(module, place)
    return Target(text, tuple(_bound(run, each, workspace) for each in found), workspace)


def one_object(target: Target) -> Decorated:
    """The only object of a target.

    Raises:
        SpecError: It has several.
    """
    if len(target.objects) == 1:
        return target.objects[0]
    choices = ", ".join(f"{target.text}::{_attribute(each)}" for each in target.objects)
    raise SpecError(
        f"{target.text} has {len(target.objects)} functions", next_step=f"name one: {choices}"
    )


def _existing(place: str) -> Path:
    path = Path(place)
    if path.is_dir():
        raise SpecError(f"{place} is a folder", next_step="name a file in it, such as app.py")
    if path.is_file():
        return path.resolve()
    near = get_close_matches(path.name, _python_files(path.parent), n=1)
    hint = f"did you mean {path.parent / near[0]}? " if near else ""
    raise SpecError(
        f"there is no file {place}", next_step=f"{hint}`gpuhub init` writes a project to start with"
    )


def _python_files(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.py")] if folder.is_dir() else []


def _all_of(module: ModuleType, shown: str) -> Sequence[Decorated]:
    """The decorated objects that a module defines, not those it imports, in its order."""
    from gpuhub._decorated import Decorated

    every = [each for each in vars(module).values() if isinstance(each, Decorated)]
    own = [each for each in every if each.__module__ == module.__name__]
    if own:
        return list(dict.fromkeys(own))
    there = f"; it imports {', '.join(map(_attribute, every))}" if every else ""
    raise SpecError(
        f"{shown} defines no function for gpuhub{there}",
        next_step="put @gpuhub.function or @gpuhub.web above one, or name another file",
    )


def _named(module: ModuleType, name: str) -> Decorated:
    from gpuhub._decorated import Decorated

    known: dict[str, Decorated] = {}
    for attribute, each in vars(module).items():
        if isinstance(each, Decorated):
            known |= {each.spec.name: each, attribute: each}
    if name in known:
        return known[name]
    if hasattr(module, name):
        raise SpecError(
            f"{name} in {module.__name__} is not decorated",
            next_step="put @gpuhub.function or @gpuhub.web above it",
        )
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(known) or "none"
    raise SpecError(
        f"{module.__name__} has no function {name!r}", next_step=f"{hint}it has: {listed}"
    )


def _attribute(found: Decorated) -> str:
    return str(found.__name__)


def _bound(run: Run, found: Any, workspace: Workspace) -> Decorated:
    """Bind to the run's workspace; code that chose one keeps it unless an option says else."""
    chosen = found._workspace  # noqa: SLF001
    bound: Decorated = found if chosen and not run.has_overrides else found.in_workspace(workspace)
    return bound
