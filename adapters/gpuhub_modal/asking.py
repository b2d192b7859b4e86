"""Asks Modal, and repeats where that does no harm: ``io.run`` itself repeats nothing.

Calls are sent without the SDK's own repetitions, which would wait outside of gpuhub's budget and
clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from gpuhub.errors import ProviderUnavailable, RateLimited
from gpuhub.plan import Retry

if TYPE_CHECKING:
    from gpuhub.adapter import Io

__all__ = ["ask"]

T = TypeVar("T")

_TRIES = 6
_TOTAL_S = 60.0
_FIRST_WAIT_S = 0.2


async def ask(
    io: Io,
    request: Callable[[], T],
    *,
    retry: Retry = Retry.SAFE,
    budget_s: float | None = None,
) -> T:
    """Send one request.

    Args:
        io: The engine's.
        request: A bound method of the session's.
        retry: When it may be sent again.
        budget_s: Seconds within which it may be repeated. Default 60.

    Raises:
        ProviderError: The answer is an error.
    """
    ends = io.now() + (_TOTAL_S if budget_s is None else min(budget_s, _TOTAL_S))
    wait_s = _FIRST_WAIT_S
    for tries_left in reversed(range(_TRIES)):
        try:
            return await io.run(request)
        except (RateLimited, ProviderUnavailable) as error:
            pause = error.retry_after or wait_s
            if not (tries_left and _may_repeat(error, retry) and io.now() + pause <= ends):
                raise
        await io.sleep(pause)
        wait_s *= 2
    raise AssertionError("unreachable: the last try returns or raises")


def _may_repeat(error: RateLimited | ProviderUnavailable, retry: Retry) -> bool:
    return retry is Retry.SAFE or (retry is Retry.REFUSED_ONLY and error.accepted is False)
