"""Importing the user's code, under the name the container will use, with honest errors."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from gpuhub.errors import GpuHubError, SpecError

__all__ = ["import_file", "import_module"]


def import_file(path: Path) -> ModuleType:
    """Import a file under the name that the container will use: by the packages around it.

    Args:
        path: Absolute path of a file that exists.

    Raises:
        SpecError: It cannot be imported; the user's traceback is a note.
    """
    parts = [] if path.stem == "__init__" else [path.stem]
    base = path.parent
    while (base / "__init__.py").is_file():
        parts.insert(0, base.name)
        base = base.parent
    name = ".".join(parts)
    if not all(part.isidentifier() for part in parts):
        raise SpecError(
            f"{path.name}: {name!r} cannot be imported as a module",
            next_step="rename the file: letters, digits and underscores, not starting with a digit",
        )
    _prefer(base)
    module = _import(name, path.name)
    found = getattr(module, "__file__", None)
    if found is None or Path(found).resolve() != path:
        raise SpecError(
            f"{path.name}: the name {name!r} already belongs to {found or 'a built-in module'}",
            next_step="rename the file",
        )
    return module


def import_module(name: str) -> ModuleType:
    """Import a module of the working directory, its ``src`` folder, or the environment.

    Raises:
        SpecError: There is none, or importing it failed; the user's traceback is a note.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise SpecError(
            f"{name!r} is neither a file nor a module",
            next_step="give app.py, app.py::embed or package.module:embed",
        )
    for folder in (Path.cwd() / "src", Path.cwd()):
        if folder.is_dir():
            _prefer(folder)
    return _import(name, name)


def _prefer(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _import(name: str, shown: str) -> ModuleType:
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except GpuHubError as error:
        error.add_note(_where(error, shown))
        raise
    except BaseException as error:  # noqa: BLE001 - whatever the user's code raises, exit() too
        _refuse_import(error, name, shown)


def _refuse_import(error: BaseException, name: str, shown: str) -> NoReturn:
    if isinstance(error, ModuleNotFoundError) and error.name in _prefixes(name):
        raise SpecError(
            f"there is no module {error.name!r}",
            next_step="give app.py, app.py::embed or package.module:embed",
        ) from None
    kind = type(error).__name__
    step = "correct it; the traceback is below"
    if isinstance(error, ModuleNotFoundError):
        step = f"install {error.name!r} here too, or import it inside the function that uses it"
    failed = SpecError(f"importing {shown} failed: {kind}: {error}", next_step=step)
    failed.add_note(_traceback(error))
    raise failed from None


def _prefixes(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[: end + 1]) for end in range(len(parts))}


def _traceback(error: BaseException) -> str:
    """The traceback from the user's first line on."""
    frames = error.__traceback__
    while frames is not None and _is_machinery(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()


def _is_machinery(file: str) -> bool:
    return file == __file__ or file.startswith("<frozen importlib") or file == importlib.__file__


def _where(error: GpuHubError, shown: str) -> str:
    """The user's line that an error of gpuhub's is about."""
    package = str(Path(__file__).parents[1])
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        theirs = not _is_machinery(frame.filename) and not frame.filename.startswith(package)
        if theirs and Path(frame.filename).is_file() and "pydantic" not in frame.filename:
            return f'  File "{frame.filename}", line {frame.lineno}\n    {frame.line}'
    return f"  while importing {shown}"
