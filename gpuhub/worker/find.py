"""Finds the user's object behind a target's names. Used on both sides, so it imports little."""

from __future__ import annotations

import importlib
from typing import Any

from gpuhub.worker.target import Target

__all__ = ["MANIFEST", "find_object", "raw_object"]

MANIFEST = "manifest.json"
"""Name of the file that describes a bundle."""


def find_object(target: Target) -> Any:
    """Import a target's module and give the object, still decorated.

    Raises:
        ImportError: The module cannot be imported; or whatever its code raises.
        AttributeError: It has no object of that name.
    """
    found: Any = importlib.import_module(target.module)
    for name in target.qualname.split("."):
        found = getattr(found, name)
    return found


def raw_object(decorated: Any) -> Any:
    """Give the user's own function or class behind gpuhub's decorator, if there is one.

    Only gpuhub's own wrapper is taken off: what other decorators add belongs to the function.
    """
    is_ours = type(decorated).__module__.split(".")[0] == "gpuhub"
    return decorated.__wrapped__ if is_ours and hasattr(decorated, "__wrapped__") else decorated
