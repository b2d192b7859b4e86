"""Which failures are repeated, how often and after which waits."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub import _drive
from gpuhub._clock import VirtualClock
from gpuhub._retry import RetryPolicy, again, is_retryable
from gpuhub.errors import (
    AuthFailed,
    MalformedResponse,
    NoCapacity,
    ProviderUnavailable,
    RateLimited,
)
from gpuhub.plan import Retry

REFUSED = partial(ProviderUnavailable, "refused", accepted=False)
LOST = partial(ProviderUnavailable, "lost", accepted=None)
LIMITED = partial(RateLimited, "slow down")
STEADY = RetryPolicy(random=lambda: 0.0)


@pytest.mark.parametrize(
    ("error", "rules"),
    [
        (REFUSED(), {Retry.SAFE, Retry.REFUSED_ONLY}),
        (LIMITED(), {Retry.SAFE, Retry.REFUSED_ONLY}),
        (LOST(), {Retry.SAFE}),
        (AuthFailed("no"), set()),
        (NoCapacity("no"), set()),
        (MalformedResponse("no", accepted=None), set()),
        (KeyboardInterrupt(), set()),
        (asyncio.CancelledError(), set()),
        (TimeoutError(), set()),
    ],
)
def test_only_our_transient_errors_are_repeated(error, rules):
    """Each rule allows exactly these."""
    assert {rule for rule in Retry if is_retryable(error, rule)} == rules


class Trial:
    """Runs ``again`` with outcomes of the tries after the first, on a virtual clock."""

    def __init__(self, *outcomes, policy=STEADY, deadline=None, takes=0.0):
        self.outcomes = list(outcomes)
        self.clock = VirtualClock()
        self.policy = policy
        self.deadline = deadline
        self.takes = takes
        self.starts = []

    async def _send(self):
        self.starts.append(self.clock.now())
        self.clock.advance(self.takes)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def _sleep(self, seconds):
        self.clock.sleep(seconds)

    def run(self, first, retry=Retry.SAFE):
        return _drive.run(
            again(
                self._send,
                first,
                retry,
                self.policy,
                started=0.0,
                deadline=self.deadline,
                now=self.clock.now,
                sleep=self._sleep,
            )
        )


def test_success_ends_it():
    """The first answer is the answer."""
    trial = Trial(LOST(), "answer")
    assert trial.run(LOST()) == "answer"
    assert trial.starts == [0.25, 0.75]


def test_waits_double_up_to_a_limit():
    """Exponential backoff; the first try counts as one of the attempts."""
    policy = RetryPolicy(longest_wait_s=2.0, random=lambda: 1.0)
    trial = Trial(*(LOST() for _ in range(9)), policy=policy)
    with pytest.raises(ProviderUnavailable, match=r"tried 6 times over 7\.5 s"):
        trial.run(LOST())
    assert trial.starts == [0.5, 1.5, 3.5, 5.5, 7.5]


def test_provider_says_how_long():
    """``retry_after`` replaces the backoff, and may exceed its limit."""
    trial = Trial("answer")
    trial.run(LIMITED(retry_after=20.0))
    assert trial.starts == [20.0]


@pytest.mark.parametrize("asked", [0.0, None])
def test_no_wait_asked_for_means_backoff(asked):
    """A ``Retry-After`` of 0 does not make a busy loop."""
    assert STEADY.wait(1, LIMITED(retry_after=asked)) == 0.25


@given(
    attempt=st.integers(1, 40),
    asked=st.one_of(st.none(), st.floats(0.001, 1e6)),
    chance=st.floats(0, 1),
)
def test_waits_stay_in_their_range(attempt, asked, chance):
    """Jitter lengthens what a provider asks by a second at most, and keeps half of a backoff."""
    policy = RetryPolicy(random=lambda: chance)
    wait = policy.wait(attempt, LIMITED(retry_after=asked))
    if asked is not None:
        assert asked <= wait <= asked + 1.0
    else:
        assert 0.25 <= wait <= 8.0


def test_no_try_starts_after_the_total():
    """The last try starts within the total, counted from the first."""
    trial = Trial(*(LOST() for _ in range(9)), policy=RetryPolicy(attempts=99), takes=25.0)
    with pytest.raises(ProviderUnavailable):
        trial.run(LOST())
    assert len(trial.starts) == 3
    assert trial.starts[-1] <= 60


def test_callers_deadline_cuts_the_total():
    """Where the caller's budget ends earlier, so does the trying."""
    trial = Trial(*(LOST() for _ in range(9)), deadline=1.0)
    with pytest.raises(ProviderUnavailable):
        trial.run(LOST())
    assert all(start <= 1.0 for start in trial.starts)
    assert len(trial.starts) == 2


def test_too_long_a_wait_is_not_begun():
    """A wait beyond the budget ends it at once, without a count: it was tried once."""
    trial = Trial(deadline=10.0)
    first = LIMITED(retry_after=20.0)
    with pytest.raises(RateLimited) as caught:
        trial.run(first)
    assert caught.value is first
    assert trial.clock.now() == 0.0
    assert "tried" not in str(first)


def test_other_errors_end_it():
    """An error that may not be repeated is raised as it is, with the count."""
    trial = Trial(AuthFailed("no"), "answer")
    with pytest.raises(AuthFailed, match=r"no; tried 2 times over 0\.2 s") as caught:
        trial.run(LIMITED())
    assert caught.value.args == (caught.value.message,)
    assert caught.value.accepted is False


def test_one_unknown_try_makes_all_unknown():
    """After a lost answer, a later refusal does not say that there was no effect."""
    trial = Trial(REFUSED(), *(REFUSED() for _ in range(9)))
    with pytest.raises(ProviderUnavailable) as caught:
        trial.run(LOST())
    assert caught.value.accepted is None


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), asyncio.CancelledError(), SystemExit()])
def test_what_stops_a_program_is_not_repeated(stop):
    """Neither swallowed nor tried again, also inside tenacity."""
    trial = Trial(stop, "answer")
    with pytest.raises(type(stop)) as caught:
        trial.run(LOST())
    assert caught.value is stop
    assert len(trial.starts) == 1


def test_works_on_a_loop_too():
    """The same coroutine on an event loop, with a wait that suspends."""
    outcomes = iter([LOST(), "answer"])

    async def send():
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def use():
        clock = VirtualClock()
        return await again(
            send,
            LOST(),
            Retry.SAFE,
            STEADY,
            started=0.0,
            deadline=None,
            now=clock.now,
            sleep=clock.sleep_async,
        )

    assert asyncio.run(use()) == "answer"
