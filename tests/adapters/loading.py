"""Importing a project's modules, and what a provider's container would."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


@contextmanager
def imported(folder: Path, name: str) -> Iterator[ModuleType]:
    """Import a module of a folder as a program there would; forget it at the end."""
    sys.path.insert(0, str(folder))
    yield importlib.import_module(name)
    sys.path.remove(str(folder))
    del sys.modules[name]


def load_file(name: str, place: Path) -> ModuleType:
    """Import a file under a name, without noting the module anywhere."""
    spec = importlib.util.spec_from_file_location(name, place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def modules_kept() -> Iterator[None]:
    """Put the import path and the imported modules back at the end."""
    path, modules = list(sys.path), dict(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]
    for name, module in modules.items():
        sys.modules.setdefault(name, module)
