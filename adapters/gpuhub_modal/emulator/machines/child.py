"""What a forked container is, see :mod:`gpuhub.testing.emulator.nursery`: Modal's runtime."""

from __future__ import annotations

import os
import runpy
import signal
import sys
from typing import Any

WARM = (
    *("modal", "modal._cluster", "modal._runtime.asgi", "modal._runtime.container_io_manager"),
    *("modal._runtime.execution_context", "modal._runtime.task_lifecycle_manager"),
    *("modal._runtime.user_code_imports", "modal._serialization", "modal.running_app"),
    *("asyncio", "base64", "concurrent.futures", "dataclasses", "decimal", "http.server"),
    *("importlib.util", "shutil", "subprocess", "tarfile", "urllib.request", "uuid", "zipfile"),
)
"""What the entry point imports, and what user code often does; not the entry point itself, which
each child runs as its main module."""
LOGS = 2
"""Output, errors."""

_ENTRY = "modal._container_entrypoint"


def prepare(paths: list[str]) -> None:
    """Have Modal's packages found."""
    sys.path.extend(paths)


def become(order: dict[str, Any], _descriptors: list[int]) -> None:
    """Run Modal's entry point as a fresh process of the container would."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [_ENTRY]
    paths = order["env"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [order["folder"], *filter(None, paths)]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    runpy.run_module(_ENTRY, run_name="__main__", alter_sys=True)
