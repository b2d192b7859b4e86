"""How many workers a deployment should have: the mock provider's rule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuhub_mock.emulator.bodies import Workers
    from gpuhub_mock.emulator.workers import Worker

__all__ = ["calls_on", "desired_workers"]


def calls_on(workers: Iterable[Worker]) -> int:
    """Give the calls that workers run, each one of a batch counted."""
    return sum(1 + len(call.followers) for worker in workers for call in worker.calls)


def desired_workers(limits: Workers, in_flight: int, batch: int = 1) -> int:
    """Give the number of workers for a load.

    Args:
        limits: Of the deployment.
        in_flight: Calls waiting and running.
        batch: Calls one run takes.

    Returns:
        Enough for ``target_in_flight`` calls each (their concurrency by default), and the buffer
        beside them while there is any load, within the limits.
    """
    each = (limits.target_in_flight or limits.concurrency) * batch
    wanted = -(-in_flight // each) + (limits.buffer if in_flight else 0)
    return max(limits.min, min(limits.max, wanted))
