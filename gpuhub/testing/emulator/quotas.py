"""Limits of requests: so many in a window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

__all__ = ["Gate"]


class Gate(ABC):
    """Counts requests of one kind; a provider says how it refuses one too many.

    Args:
        most: How many are let through.
        window_s: In how many clock seconds.
        now: Gives clock seconds.
    """

    def __init__(self, most: int, window_s: float, now: Callable[[], float]) -> None:
        self.most = most
        self.window_s = window_s
        self._now = now
        self._recent: deque[float] = deque()

    @abstractmethod
    def refusal(self, wait_s: float) -> Exception:
        """Give what is raised, with the clock seconds until there is room."""

    def count(self) -> None:
        """Let one request through.

        Raises:
            Exception: What :meth:`refusal` gives; the request is not counted.
        """
        if self.left == 0:
            raise self.refusal(self.reset_s)
        self._recent.append(self._now())

    @property
    def left(self) -> int:
        """How many would be let through now."""
        now = self._now()
        while self._recent and self._recent[0] <= now - self.window_s:
            self._recent.popleft()
        return max(0, self.most - len(self._recent))

    @property
    def reset_s(self) -> float:
        """Clock seconds until the oldest request is forgotten; the window, where there is none."""
        return self._recent[0] + self.window_s - self._now() if self._recent else self.window_s
