"""Lets things happen on time when the clock is real and nobody asks."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

__all__ = ["Ticker"]

_EVERY_S = 0.1


class Ticker:
    """Calls a method several times a second, until it is stopped or its owner is gone.

    Args:
        tick: A bound method; only weakly held.
    """

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = weakref.WeakMethod(tick)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpuhub-mock-ticker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY_S):
            tick = self._tick()
            if tick is None:
                return
            tick()
            del tick
