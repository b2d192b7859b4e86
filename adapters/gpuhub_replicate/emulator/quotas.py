"""Limits of requests: so many in a window."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from gpuhub_replicate.emulator.options import Quota
from gpuhub_replicate.emulator.problems import Problem, throttled

__all__ = ["Gate"]


class Gate:
    """Counts requests of one kind.

    Args:
        quota: The limit.
        now: Gives clock seconds.
    """

    def __init__(self, quota: Quota, now: Callable[[], float]) -> None:
        self._quota = quota
        self._now = now
        self._recent: deque[float] = deque()

    def count(self) -> None:
        """Count one request.

        Raises:
            Problem: 429, with the seconds until the limit resets.
        """
        now, quota = self._now(), self._quota
        while self._recent and self._recent[0] <= now - quota.window_s:
            self._recent.popleft()
        if len(self._recent) >= quota.count:
            raise _too_many(self._recent[0] + quota.window_s - now)
        self._recent.append(now)


def _too_many(seconds: float) -> Problem:
    """Refuse in the words users report."""
    wait_s = max(1, math.ceil(seconds))
    return throttled(wait_s)
