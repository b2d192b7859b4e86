"""Asks the mock provider, as an SDK would: errors mapped, and repeated where that does no harm.

An adapter over HTTP needs none of this: ``io.send`` does it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gpuhub.errors import ProviderUnavailable, RateLimited
from gpuhub.plan import Retry
from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.errors import error_of

if TYPE_CHECKING:
    from gpuhub.adapter import Io

__all__ = ["ask"]

T = TypeVar("T")

_TRIES = 6
_TOTAL_S = 60.0
_FIRST_WAIT_S = 0.5


async def ask(
    io: Io,
    request: Callable[[], T],
    *,
    retry: Retry = Retry.SAFE,
    budget_s: float | None = None,
) -> T:
    """Send one request to the provider.

    Args:
        io: The engine's.
        request: A bound request.
        retry: When it may be sent again.
        budget_s: Seconds within which it may be repeated. Default 60.

    Raises:
        GpuHubError: The answer is an error.
    """
    ends = io.now() + (_TOTAL_S if budget_s is None else min(budget_s, _TOTAL_S))
    wait_s = _FIRST_WAIT_S
    for tries_left in reversed(range(_TRIES)):
        try:
            return await io.run(partial(_answer, request))
        except (RateLimited, ProviderUnavailable) as error:
            pause = error.retry_after or wait_s
            if not (tries_left and _may_repeat(error, retry) and io.now() + pause <= ends):
                raise
        await io.sleep(pause)
        wait_s *= 2
    raise AssertionError("unreachable: the last try returns or raises")


def _answer(request: Callable[[], T]) -> T:
    try:
        return request()
    except Refusal as refusal:
        raise error_of(refusal) from None


def _may_repeat(error: RateLimited | ProviderUnavailable, retry: Retry) -> bool:
    return retry is Retry.SAFE or (retry is Retry.REFUSED_ONLY and error.accepted is False)
