"""Limits of requests: so many in a window."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gpuhub_baseten.emulator.problems import Problem

__all__ = ["Gate"]


class Gate:
    """Counts requests of one kind.

    Args:
        most: How many are let through.
        window_s: In how many clock seconds.
        now: Gives clock seconds.
    """

    def __init__(self, most: int, window_s: float, now: Callable[[], float]) -> None:
        self._most = most
        self._window_s = window_s
        self._now = now
        self._recent: deque[float] = deque()

    def count(self) -> None:
        """Let one request through.

        Raises:
            Problem: 429, with the seconds to wait.
        """
        now = self._now()
        while self._recent and self._recent[0] <= now - self._window_s:
            self._recent.popleft()
        if len(self._recent) >= self._most:
            wait = self._recent[0] + self._window_s - now
            raise Problem(429, "too many requests", retry_after=max(1.0, wait))
        self._recent.append(now)
