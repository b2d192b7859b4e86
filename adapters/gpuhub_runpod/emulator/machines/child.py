"""What a forked worker of RunPod's is, see :mod:`gpuhub.testing.emulator.nursery`: one script."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

WARM = (
    *("asyncio", "base64", "concurrent.futures", "contextvars", "dataclasses", "datetime"),
    *("decimal", "hashlib", "http.server", "importlib.util", "inspect", "shutil", "subprocess"),
    *("tarfile", "tempfile", "typing", "urllib.request", "uuid", "runpod.serverless.loop"),
)
"""``runpod`` is the stand-in."""


def prepare(paths: list[str]) -> None:
    """Put the stand-in first."""
    sys.path[:0] = paths


def become(order: dict[str, Any], _descriptors: list[int]) -> None:
    """Run the order's script as ``python -c`` does."""
    sys.argv = ["-c"]
    sys.path[:0] = filter(None, order["env"].get("PYTHONPATH", "").split(os.pathsep))
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    exec(compile(order["script"], "<string>", "exec"), main.__dict__)  # noqa: S102 - that is it
