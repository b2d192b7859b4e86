"""What a forked replica of Baseten's is, see :mod:`gpuhub.testing.emulator.nursery`: a server."""

from __future__ import annotations

import importlib
import signal
import socket
import sys
from pathlib import Path
from typing import Any

WARM = (
    *("asyncio", "base64", "concurrent.futures", "contextvars", "dataclasses", "datetime"),
    *("decimal", "hashlib", "importlib.util", "inspect", "shutil", "subprocess", "tarfile"),
    *("tempfile", "typing", "urllib.request", "uuid", "anyio._backends._asyncio"),
    *("starlette.concurrency", "starlette.requests", "starlette.responses", "uvicorn"),
    *("uvicorn.lifespan.on", "uvicorn.loops.asyncio", "uvicorn.protocols.http.h11_impl"),
    *("uvicorn.logging", "stub"),
)
"""``stub`` is what is beside this file."""


def prepare(paths: list[str]) -> None:
    """Have ``stub`` found, in the place where a replica puts its own folders."""
    sys.path[:0] = [str(Path(__file__).parent)]
    sys.path.extend(paths)


def become(order: dict[str, Any], descriptors: list[int]) -> None:
    """Serve the model on the socket that is handed over."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.argv = ["main.py"]
    app = Path(order["folder"])
    sys.path[:1] = [str(app), str(app.parent / "packages")]
    importlib.import_module("stub").serve(order, socket.socket(fileno=descriptors[0]))
