"""Finds a deployed function in this very process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from gpuhub.worker.find import raw_object
from gpuhub.worker.target import Target

__all__ = ["find_live"]

Sources = Callable[[str], list[bytes]]


def find_live(target: Target, sources: Sources) -> Any | None:
    """Give the function or class of a target if this process has exactly the deployed code.

    Args:
        target: What to find.
        sources: Gives the contents of the bundle's files whose path ends with a name. None means
            that the bundle cannot tell, and any module of the right name is taken.
    """
    name = PurePosixPath(*target.module.split("."))
    wanted = sources(f"{name}.py") + sources(f"{name}/__init__.py")
    for module in _modules(target.module):
        if wanted and _source(module) not in wanted:
            continue  # another version of it, or another project's
        found = _attribute(module, target.qualname)
        if found is not None:
            return raw_object(found)
    return None


def _modules(name: str) -> Iterator[ModuleType]:
    """Give the modules that may be the one meant, the likeliest first."""
    seen = [sys.modules.get(name), sys.modules.get("__main__")]
    tail = name.rpartition(".")[2]
    # A project's root is not always the folder that modules are imported from.
    seen += [each for key, each in list(sys.modules.items()) if key.rpartition(".")[2] == tail]
    for module in seen:
        if isinstance(module, ModuleType) and _is_named(module, name):
            yield module


def _is_named(module: ModuleType, name: str) -> bool:
    file = getattr(module, "__file__", None)
    if module.__name__ == name or file is None:
        return module.__name__ == name
    path = Path(file).with_suffix("")
    parts = path.parts[:-1] if path.name == "__init__" else path.parts
    wanted = tuple(name.split("."))
    return parts[-len(wanted) :] == wanted


def _source(module: ModuleType) -> bytes | None:
    try:
        return Path(module.__file__ or "").read_bytes()
    except OSError:
        return None


def _attribute(module: ModuleType, qualname: str) -> Any | None:
    found: Any = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found
