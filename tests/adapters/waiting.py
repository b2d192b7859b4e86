"""Waiting for what happens in real time: in another process, or on a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


def is_quick(action: Callable[[], object], seconds: float) -> bool:
    """Whether something takes less than so many seconds: at least once, on a busy machine."""

    def took() -> float:
        began = time.perf_counter()
        action()
        return time.perf_counter() - began

    return any(took() < seconds for _ in range(20))


def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait until something is true; fail after so many seconds."""
    ends = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        pause.wait(0.005)
