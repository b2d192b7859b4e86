"""Limits of requests: so many in a window."""

from __future__ import annotations

from typing_extensions import override

from gpuhub.testing.emulator import quotas
from gpuhub_baseten.emulator.problems import Problem

__all__ = ["Gate"]


class Gate(quotas.Gate):
    """Counts requests of one kind; one too many gets 429, with the seconds to wait."""

    @override
    def refusal(self, wait_s: float) -> Problem:
        return Problem(429, "too many requests", retry_after=max(1.0, wait_s))
