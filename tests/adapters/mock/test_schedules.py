"""Schedules and batches."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.adapter import Phase
from gpuhub.errors import BadRequest
from gpuhub.scaling import Scaling
from gpuhub.spec import Batching, Schedule
from gpuhub_mock.emulator.bodies import Timer
from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.emulator.schedule import next_run


def moment(text: str) -> float:
    """Seconds since the epoch of a date and time in UTC."""
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("* * * * *", "2026-01-01 00:00:00", "2026-01-01 00:01:00"),
        ("*/15 * * * *", "2026-01-01 00:14:59", "2026-01-01 00:15:00"),
        ("0 6 * * 1", "2026-01-01 00:00:00", "2026-01-05 06:00:00"),
        ("0 6 * * mon", "2026-01-05 06:00:00", "2026-01-12 06:00:00"),
        ("30 4 1,15 * *", "2026-01-01 04:30:00", "2026-01-15 04:30:00"),
        ("0 0 29 2 *", "2026-01-01 00:00:00", "2028-02-29 00:00:00"),
        ("0 0 13 * 5", "2026-01-01 00:00:00", "2026-01-02 00:00:00"),
        ("0 0 * * 7", "2026-01-01 00:00:00", "2026-01-04 00:00:00"),
        ("5-10/5 23 31 dec *", "2026-12-31 23:05:00", "2026-12-31 23:10:00"),
        ("10/20 * * * *", "2026-01-01 00:31:00", "2026-01-01 00:50:00"),
    ],
)
def test_when_a_cron_line_is_due(cron, after, expected) -> None:
    """In UTC, strictly after."""
    assert next_run(Timer(cron=cron), moment(after), 0.0) == moment(expected)


def test_a_date_that_never_comes() -> None:
    """Is never due."""
    assert next_run(Timer(cron="0 0 31 2 *"), moment("2026-01-01 00:00:00"), 0.0) == math.inf


@pytest.mark.parametrize(
    "cron", ["60 * * * *", "* * 0 * *", "* * * 13 *", "a * * * *", "5-1 * * * *", "*/0 * * * *"]
)
def test_a_malformed_cron_line(cron) -> None:
    """Is refused with its words."""
    with pytest.raises(Refusal, match=r"schedule\.cron"):
        next_run(Timer(cron=cron), 0.0, 0.0)


@given(st.floats(0.001, 1e6), st.floats(0, 1e9), st.floats(0, 1e6))
def test_periods_are_strictly_after(every, after, started) -> None:
    """And no further away than one period, to the precision of numbers."""
    due = next_run(Timer(every_s=every), started + after, started)
    assert due > started + after or due == pytest.approx(started + after)
    assert due <= (started + after + every) * (1 + 1e-9) + every * 1e-6


def test_a_scheduled_function_runs_by_itself(lab) -> None:
    """As often as time passes; also after a jump of the clock."""
    ref = lab.deploy("tick", schedule=Schedule(every=60))
    for _ in range(3):
        lab.clock.advance(60)
        lab.cloud.drain()
    assert lab.messages(ref).count("tick") == 3
    lab.clock.advance(600)
    lab.cloud.drain()
    assert lab.messages(ref).count("tick") == 13


def test_a_cron_schedule(lab) -> None:
    """The virtual clock begins on the first of January 2026, a Thursday."""
    ref = lab.deploy("tick", schedule=Schedule(cron="0 6 * * 4"))
    lab.clock.advance(6 * 3600 - 1)
    lab.cloud.drain()
    assert lab.messages(ref).count("tick") == 0
    lab.clock.advance(1)
    lab.cloud.drain()
    assert lab.messages(ref).count("tick") == 1


def test_a_schedule_ends_with_its_version(lab) -> None:
    """And begins again with a roll-back."""
    ref = lab.deploy("tick", schedule=Schedule(every=60))
    lab.deploy("tick")
    lab.clock.advance(600)
    lab.cloud.drain()
    assert lab.messages(ref).count("tick") == 0
    lab.run(lab.adapter.rollback(lab.io, ref, "1"))
    lab.clock.advance(60)
    lab.cloud.drain()
    assert lab.messages(ref).count("tick") == 1


def test_the_provider_refuses_a_wrong_cron_line(lab) -> None:
    """At deploy time, and nothing is left behind."""
    with pytest.raises(BadRequest, match="99"):
        lab.deploy("tick", schedule=Schedule(cron="99 * * * *"))
    assert lab.run(lab.adapter.find(lab.io, "lab-tick")) is None


def test_calls_are_gathered(make_lab) -> None:
    """As many as fit, in order, each with its own result."""
    lab = make_lab(mode="thread")
    ref = lab.deploy("doubled", batching=Batching(max_size=4, wait=5))
    calls = [lab.spawn(ref, x=x) for x in range(10)]
    results = [json.loads(lab.poll(call, 60).output or b"")["result"] for call in calls]
    assert results == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]


def test_a_batch_is_one_run(make_lab) -> None:
    """The function sees all of them at once, up to the size."""
    lab = make_lab(mode="thread")
    ref = lab.deploy("sizes", batching=Batching(max_size=4, wait=5), scaling=Scaling(max_workers=1))
    calls = [lab.spawn(ref, x=x) for x in range(6)]
    results = [json.loads(lab.poll(call, 60).output or b"")["result"] for call in calls]
    assert results == [4, 4, 4, 4, 2, 2]


def test_a_lonely_call_waits_for_its_batch(lab) -> None:
    """So long, and is then a batch of its own."""
    ref = lab.deploy("sizes", batching=Batching(max_size=4, wait=5))
    assert lab.result(ref, x=1) == 1
    assert lab.clock.now() == 5.0
    lab.result(ref, x=1)
    assert lab.clock.now() == 10.0


def test_threads_share_a_batch(lab) -> None:
    """Callers that wait at the same time are gathered."""
    ref = lab.deploy("doubled", batching=Batching(max_size=8, wait=2))
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(lambda x: lab.result(ref, x=x), range(64))) == [
            2 * x for x in range(64)
        ]


def test_a_batch_that_gives_the_wrong_number(lab) -> None:
    """Fails all of its calls, and says what was expected."""
    ref = lab.deploy("wrong_batch", batching=Batching(max_size=2, wait=1))
    state = lab.submit(ref, x=1)
    assert state.phase is Phase.FAILED
    assert "a list of 1 results" in str(state.error)


def test_calls_that_do_not_fit_together(make_lab) -> None:
    """One batch needs one set of arguments."""
    lab = make_lab(mode="thread")
    ref = lab.deploy("doubled", batching=Batching(max_size=2, wait=5))
    calls = [lab.spawn(ref, x=1), lab.spawn(ref, y=1)]
    assert [lab.poll(call, 60).phase for call in calls] == [Phase.FAILED] * 2


def test_one_call_of_a_batch_is_cancelled(make_lab) -> None:
    """While it is queued: the others run without it."""
    lab = make_lab(mode="thread")
    ref = lab.deploy("sizes", batching=Batching(max_size=3, wait=5))
    calls = [lab.spawn(ref, x=x) for x in range(3)]
    lab.run(lab.adapter.cancel(lab.io, calls[1]))
    phases = [lab.poll(call, 60).phase for call in calls]
    assert phases == [Phase.SUCCEEDED, Phase.CANCELLED, Phase.SUCCEEDED]
