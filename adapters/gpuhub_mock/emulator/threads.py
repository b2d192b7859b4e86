"""Threads that run what nobody waits for, and never keep Python from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

__all__ = ["DaemonThreads"]

_IDLE_S = 5.0

Task = tuple[Callable[..., Any], tuple[Any, ...]]


class DaemonThreads:
    """As many threads as there is work; an idle one is used again before it ends.

    ``concurrent.futures`` would wait at exit for a function that hangs.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Task] = SimpleQueue()
        self._lock = threading.Lock()
        self._free = 0

    def submit(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Run a function soon; it handles its own errors."""
        with self._lock:
            self._tasks.put((function, arguments))
            if self._free:
                self._free -= 1
                return
        threading.Thread(target=self._work, name="gpuhub-mock", daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                function, arguments = self._tasks.get(timeout=_IDLE_S)
            except Empty:
                with self._lock:
                    # A task put meanwhile counted on this thread.
                    if not self._free:
                        continue
                    self._free -= 1
                return
            function(*arguments)
            del function, arguments
            with self._lock:
                self._free += 1
