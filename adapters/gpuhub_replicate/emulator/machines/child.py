"""What a forked worker of Replicate's is, see :mod:`gpuhub.testing.emulator.nursery`: a runner."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

WARM = (
    *("asyncio", "base64", "concurrent.futures", "contextvars", "dataclasses", "datetime"),
    *("decimal", "hashlib", "importlib.util", "inspect", "mimetypes", "shutil", "subprocess"),
    *("tarfile", "tempfile", "typing", "urllib.request", "uuid", "cog", "stub"),
)
"""``cog`` is the stand-in, ``stub`` what is beside this file."""


def prepare(paths: list[str]) -> None:
    """Have ``stub`` found, in the place where a worker puts its own folder; the stand-in last."""
    sys.path[:0] = [str(Path(__file__).parent)]
    sys.path.extend(paths)


def become(order: dict[str, Any], descriptors: list[int]) -> None:
    """Run what the image says, told over the channel."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    paths = order["env"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [order["folder"], *filter(None, paths)]
    importlib.import_module("stub").serve(socket.socket(fileno=descriptors[0]))
