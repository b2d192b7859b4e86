"""Ending long-running verbs as a process manager does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["until_stopped"]


@contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """An event that SIGTERM sets inside the block; Ctrl-C raises as ever."""
    stopped = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, before)
