"""Limits of requests: so many in a window, so many at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gpuhub_runpod.emulator.options import Quota
from gpuhub_runpod.emulator.problems import Problem

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
        self._open = 0

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Let one request through.

        Raises:
            Problem: 429, with the seconds to wait.
        """
        now, quota = self._now(), self._quota
        while self._recent and self._recent[0] <= now - quota.window_s:
            self._recent.popleft()
        if len(self._recent) >= quota.count:
            raise _too_many(self._recent[0] + quota.window_s - now)
        if quota.at_once is not None and self._open >= quota.at_once:
            raise _too_many(1.0)
        self._recent.append(now)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    def headers(self) -> dict[str, str]:
        """Give the headers that tell of the limit, as the control plane has them."""
        now, quota = self._now(), self._quota
        left = max(0, quota.count - len(self._recent))
        reset = self._recent[0] + quota.window_s - now if self._recent else quota.window_s
        return {
            "RateLimit": f'"minute";r={left};t={max(0, round(reset))}',
            "RateLimit-Policy": f'"minute";q={quota.count};w={round(quota.window_s)}',
        }


def _too_many(seconds: float) -> Problem:
    return Problem(429, "too many requests", retry_after=max(1.0, seconds))
