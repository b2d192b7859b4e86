"""A stand-in for the ``runpod`` package inside quick worker processes of the emulator.

It does what the real worker loop does to jobs and results, over the same routes, without its
start-up time and its pauses. Standard library only.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["__version__"]

__version__ = "1.12.0+gpuhub.standin"


def __getattr__(name: str) -> ModuleType:
    """Import ``runpod.serverless`` when it is asked for, as the package has it loaded always."""
    if name == "serverless":
        return importlib.import_module("runpod.serverless")
    raise AttributeError(name)
