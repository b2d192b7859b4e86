"""Asks the mock provider, as an SDK would: refusals come as gpuhub's errors.

An adapter over HTTP needs none of this: ``io.send`` does it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gpuhub.plan import Retry
from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.errors import error_of

if TYPE_CHECKING:
    from gpuhub.adapter import Io

__all__ = ["ask"]

T = TypeVar("T")


async def ask(io: Io, request: Callable[[], T], *, retry: Retry = Retry.SAFE) -> T:
    """Send one request to the provider.

    Args:
        io: The engine's.
        request: A bound request.
        retry: When it may be sent again.

    Raises:
        GpuHubError: The answer is an error.
    """
    return await io.ask(partial(_answer, request), retry=retry)


def _answer(request: Callable[[], T]) -> T:
    try:
        return request()
    except Refusal as refusal:
        raise error_of(refusal) from None
