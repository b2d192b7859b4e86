"""Importing what a provider's container would."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


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
