"""Where a decorated object lives: its module as the container will import it."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from gpuhub.errors import SpecError
from gpuhub.worker.find import raw_object
from gpuhub.worker.target import Kind, Target

__all__ = ["Located", "locate"]

_MOVE = "put it at the top level of a module of the project"


@dataclass(frozen=True, slots=True)
class Located:
    """A target and its place in the project.

    Attributes:
        target: What runs, its module named as the container imports it.
        file: The module's file, relative to the root, with ``/``.
        base: Folder the module is imported from, relative to the root; ``""`` is the root.
    """

    target: Target
    file: str
    base: str


def locate(function: Callable[..., Any] | type, root: Path, *, web: bool = False) -> Located:
    """Find a decorated object's module in the project.

    Raises:
        SpecError: It is a lambda, nested, a method or made in a REPL, or its module is outside
            of the project.
    """
    raw = raw_object(function)
    qualname = _check_kind(raw)
    module = sys.modules.get(raw.__module__)
    source = getattr(module, "__file__", None)
    if module is None or source is None or not Path(source).is_file():
        _refuse(
            f"{qualname} was defined in a REPL or notebook: there is no file to ship",
            "move it to a .py file and import it from there",
        )
    file, top = Path(source).resolve(), root.resolve()
    if not file.is_relative_to(top):
        _refuse(
            f"{qualname} is defined in {file}, outside of the project's folder {top}",
            "put gpuhub.toml into a folder above it",
        )
    name, base = _module_name(module, file)
    if not base.is_relative_to(top):
        _refuse(
            f"{qualname} is in the package {name}, which begins above the project's folder {top}",
            f"put gpuhub.toml into {base}",
        )
    _check_reachable(module, raw, qualname)
    kind, is_async = _kind(raw, web=web)
    return Located(Target(name, qualname, kind, is_async), _posix(file, top), _posix(base, top))


def _refuse(message: str, next_step: str) -> NoReturn:
    raise SpecError(message, next_step=next_step)


def _posix(path: Path, root: Path) -> str:
    relative = path.relative_to(root).as_posix()
    return "" if relative == "." else relative


def _check_kind(raw: Any) -> str:
    """Give the qualified name of what can be imported by it."""
    if isinstance(raw, functools.partial | functools.partialmethod):
        _refuse("a functools.partial has no name to import", "wrap the call in a `def`")
    qualname = getattr(raw, "__qualname__", None)
    is_code = inspect.isfunction(raw) or inspect.isclass(raw) or inspect.ismethod(raw)
    if not (is_code and qualname):
        _refuse(f"a {type(raw).__name__} object cannot be shipped", f"write a `def`; {_MOVE}")
    if "<lambda>" in qualname:
        _refuse("a lambda has no name to import", f"write it as a `def`; {_MOVE}")
    if "<locals>" in qualname:
        _refuse(f"{qualname} is defined inside a function and cannot be imported", _MOVE)
    if inspect.ismethod(raw) or (inspect.isfunction(raw) and "." in qualname):
        _refuse(
            f"{qualname} is a method: its instance cannot travel",
            "decorate a module-level function, or the class with __call__ and setup",
        )
    return str(qualname)


def _module_name(module: Any, file: Path) -> tuple[str, Path]:
    """Give the name the container imports the module under, and the folder to import it from."""
    name: str = module.__name__
    if name == "__main__":
        # ``python -m pkg.mod`` knows the name; ``python mod.py`` imports from its own folder.
        spec = getattr(module, "__spec__", None)
        name = spec.name if spec is not None else file.stem
    parts = name.split(".")
    found = list(file.parts)
    found[-1] = file.stem
    if file.stem == "__init__" and parts[-1] != "__init__":
        found.pop()
    if found[-len(parts) :] == parts:
        return name, Path(*found[: -len(parts)])
    return _name_by_folders(file)


def _name_by_folders(file: Path) -> tuple[str, Path]:
    """Name a module that was loaded under a name of somebody's choice, by the packages around."""
    parts = [] if file.stem == "__init__" else [file.stem]
    folder = file.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


def _check_reachable(module: Any, raw: Any, qualname: str) -> None:
    found = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if raw_object(found) is not raw:
        _refuse(
            f"the name {qualname} in {module.__name__} is something else by now, so the container "
            "would run that",
            "give the function a name of its own",
        )


def _kind(raw: Any, *, web: bool) -> tuple[Kind, bool]:
    called = raw.__call__ if inspect.isclass(raw) else raw
    is_async = inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)
    if web:
        return "web", is_async
    if inspect.isclass(raw):
        return "class", is_async
    if inspect.isgeneratorfunction(raw) or inspect.isasyncgenfunction(raw):
        return "generator", is_async
    return "function", is_async
