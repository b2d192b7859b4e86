"""Waiting for what happens in real time: in another process, or on a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait until something is true; fail after so many seconds."""
    ends = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        pause.wait(0.005)
