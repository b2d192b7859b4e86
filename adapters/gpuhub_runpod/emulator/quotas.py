"""Limits of requests: so many in a window, so many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from typing_extensions import override

from gpuhub.testing.emulator import quotas
from gpuhub_runpod.emulator.options import Quota
from gpuhub_runpod.emulator.problems import Problem

__all__ = ["Gate"]


class Gate(quotas.Gate):
    """Counts requests of one kind.

    Args:
        quota: The limit.
        now: Gives clock seconds.
    """

    def __init__(self, quota: Quota, now: Callable[[], float]) -> None:
        super().__init__(quota.count, quota.window_s, now)
        self._at_once = quota.at_once
        self._open = 0

    @override
    def refusal(self, wait_s: float) -> Problem:
        return Problem(429, "too many requests", retry_after=max(1.0, wait_s))

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Let one request through.

        Raises:
            Problem: 429, with the seconds to wait.
        """
        if self.left and self._at_once is not None and self._open >= self._at_once:
            raise self.refusal(1.0)
        self.count()
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    def headers(self) -> dict[str, str]:
        """Give the headers that tell of the limit, as the control plane has them."""
        left, reset_s = self.left, max(0, round(self.reset_s))
        return {
            "RateLimit": f'"minute";r={left};t={reset_s}',
            "RateLimit-Policy": f'"minute";q={self.most};w={round(self.window_s)}',
        }
