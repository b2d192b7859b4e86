"""Limits of requests: so many in a window."""

from __future__ import annotations

import math

from typing_extensions import override

from gpuhub.testing.emulator import quotas
from gpuhub_replicate.emulator.problems import Problem, throttled

__all__ = ["Gate"]


class Gate(quotas.Gate):
    """Counts requests of one kind; one too many is refused in the words users report."""

    @override
    def refusal(self, wait_s: float) -> Problem:
        return throttled(max(1, math.ceil(wait_s)))
