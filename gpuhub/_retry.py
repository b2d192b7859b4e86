"""When and how often a request is sent again.

The common case, a first try that succeeds, never comes here: a driver sends once and calls
:func:`again` only with an error that :func:`is_retryable` accepts.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from gpuhub.errors import ProviderError, ProviderUnavailable, RateLimited
from gpuhub.plan import Retry

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState

T = TypeVar("T")

__all__ = ["RetryPolicy", "again", "is_retryable"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How to repeat a request that may be repeated.

    Attributes:
        attempts: Most tries, the first included.
        total_s: Seconds after the first try within which the last one starts.
        first_wait_s: Longest wait before the second try; doubles with each further one.
        longest_wait_s: Limit of the doubling. A provider's ``retry_after`` may exceed it.
        random: Gives jitter, from 0 to 1.
    """

    attempts: int = 6
    total_s: float = 60.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 8.0
    random: Callable[[], float] = field(default=random.random, repr=False)

    def wait(self, attempt: int, error: BaseException | None) -> float:
        """Seconds to wait after a failed attempt, counted from 1.

        Half of it at least is kept, so that a jittered wait still backs off; a provider's own
        ``retry_after`` is only ever lengthened.
        """
        asked: float | None = getattr(error, "retry_after", None)
        if asked:
            return asked + self.random() * min(1.0, asked / 4)
        longest = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (attempt - 1))
        return longest * (0.5 + self.random() / 2)


def is_retryable(error: BaseException, retry: Retry) -> bool:
    """Whether a request with this rule may be sent again after this error."""
    if retry is Retry.NEVER or not isinstance(error, (RateLimited, ProviderUnavailable)):
        return False
    return retry is Retry.SAFE or isinstance(error, RateLimited) or error.accepted is False


async def again(
    send: Callable[[], Awaitable[T]],
    first: ProviderError,
    retry: Retry,
    policy: RetryPolicy,
    *,
    started: float,
    deadline: float | None,
    now: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    """Go on after a failed first try, until one succeeds or the budget is used up.

    Args:
        send: Sends once more.
        first: What the first try failed with; counts as attempt 1.
        retry: The request's rule.
        policy: Attempts, waits, total.
        started: When the first try began, on the clock of ``now``.
        deadline: When the caller's own budget ends, on that clock; ``None``: never.
        now: The clock.
        sleep: Waits on that clock.

    Raises:
        ProviderError: The last error, of its own type; its message says how many tries were
            made over how long.
    """
    tries = _Tries(first)
    last_start = started + policy.total_s
    limit = last_start if deadline is None else min(last_start, deadline)

    async def attempt() -> T:
        if tries.made == 0:  # the first try has happened already: only count it
            tries.made = 1
            raise first
        tries.made += 1
        try:
            return await send()
        except ProviderError as error:
            tries.note(error)
            raise

    try:
        return await _retrying(retry, policy, limit, now, sleep)(attempt)
    except ProviderError as error:
        tries.tell(error, now() - started)
        raise


def _retrying(
    retry: Retry,
    policy: RetryPolicy,
    limit: float,
    now: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> AsyncRetrying:
    import tenacity

    # Never a negative predicate: tenacity catches BaseException, and one that says «all but
    # these» would repeat a KeyboardInterrupt and swallow a cancelled task.
    kinds = tenacity.retry_if_exception_type((RateLimited, ProviderUnavailable))
    allowed = tenacity.retry_if_exception(lambda error: is_retryable(error, retry))

    def wait(state: RetryCallState) -> float:
        error = None if state.outcome is None else state.outcome.exception()
        return policy.wait(state.attempt_number, error)

    def stop(state: RetryCallState) -> bool:
        used_up = state.attempt_number >= policy.attempts
        return used_up or now() + state.upcoming_sleep > limit

    return tenacity.AsyncRetrying(
        sleep=sleep,
        stop=stop,
        wait=wait,
        retry=tenacity.retry_all(kinds, allowed),
        reraise=True,
    )


class _Tries:
    """What is known about all tries of one request together."""

    def __init__(self, first: ProviderError) -> None:
        self.made = 0
        self._unknown = first.accepted is None

    def note(self, error: ProviderError) -> None:
        self._unknown = self._unknown or error.accepted is None

    def tell(self, error: ProviderError, seconds: float) -> None:
        """Add the count, and that an earlier try may have had an effect."""
        if self._unknown:
            error.accepted = None
        if self.made > 1:
            error.reword(f"{error.message}; tried {self.made} times over {seconds:.1f} s")
