"""Map: ordered, lazy, bounded, stopped at once; on threads and on a loop."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import sys
import threading

import pytest

import gpuhub
from gpuhub._map import blocking
from tests.adapters.waiting import until

APP = '''
import contextvars
import time

import gpuhub

SEEN: list[int] = []
LABEL: contextvars.ContextVar[str] = contextvars.ContextVar("label", default="none")


@gpuhub.function(scaling=gpuhub.Scaling(concurrency=64))
def square(number: int) -> int:
    """Refuse sevens, and let even numbers take longer."""
    SEEN.append(number)
    if number == 7:
        raise ValueError("seven")
    time.sleep(0.003 if number % 2 == 0 else 0)
    return number * number


@gpuhub.function(scaling=gpuhub.Scaling(concurrency=64))
def add(left: int, right: int = 10) -> int:
    """Take two."""
    return left + right


@gpuhub.function(scaling=gpuhub.Scaling(concurrency=64))
def labelled(number: int) -> str:
    """Tell the caller's context and change it."""
    before = LABEL.get()
    LABEL.set(f"changed by {number}")
    return before
'''


@pytest.fixture
def app(tmp_path, monkeypatch):
    """Give a project's module with functions that can be shipped."""
    (tmp_path / "mapped_app.py").write_text(APP)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mapped_app", raising=False)
    yield importlib.import_module("mapped_app")
    sys.modules.pop("mapped_app", None)


@pytest.fixture
def mock(app, gpuhub_mock):
    """Give the mock with the functions deployed."""
    for each in (app.square, app.add, app.labelled):
        gpuhub_mock.deploy(each)
    return gpuhub_mock


def test_results_come_in_the_order_of_the_items(app, mock, drive):
    """Whatever finishes first."""
    items = [n for n in range(60) if n != 7]
    assert drive.items(app.square, "map", items, concurrency=8) == [n * n for n in items]


def test_unordered_results_are_all_there(app, mock, drive):
    """Each exactly once."""
    items = [n for n in range(60) if n != 7]
    found = drive.items(app.square, "map", items, concurrency=8, ordered=False)
    assert sorted(found) == [n * n for n in items]


def test_several_iterables_are_zipped(app, mock, drive):
    """As the builtin ``map`` does, and the shortest ends it."""
    assert drive.items(app.add, "map", [1, 2, 3], itertools.count(5)) == [6, 8, 10]
    assert drive.items(app.add, "map", [1, 2]) == [11, 12]


def test_nothing_gives_nothing(app, mock, drive):
    """No call, no error."""
    assert drive.items(app.square, "map", []) == []


def test_the_first_failed_item_is_raised_at_its_place(app, mock, drive):
    """With the remote traceback."""
    with pytest.raises(gpuhub.RemoteError, match="seven") as caught:
        drive.items(app.square, "map", range(20), concurrency=2)
    assert caught.value.error_type == "ValueError"
    assert "raise ValueError" in caught.value.remote_traceback


def test_exceptions_can_be_results(app, mock, drive):
    """The other items are not lost."""
    found = drive.items(app.square, "map", range(10), return_exceptions=True)
    assert isinstance(found[7], gpuhub.RemoteError)
    assert [each for at, each in enumerate(found) if at != 7] == [
        n * n for n in range(10) if n != 7
    ]


def test_an_item_that_cannot_be_sent_is_raised_and_named(app, mock, drive):
    """Before anything of it leaves the machine."""
    with pytest.raises(gpuhub.SpecError, match="number"):
        drive.items(app.square, "map", [1, "two"])


def test_the_input_is_taken_as_results_are_asked_for(app, mock):
    """A window of twice the concurrency, not the whole input."""
    taken = []

    def inputs():
        for number in itertools.count(8):
            taken.append(number)
            yield number

    results = app.square.map(inputs(), concurrency=4)
    for _ in range(10):
        next(results)
    results.close()
    assert len(taken) <= 10 + 2 * 4


def test_a_slow_input_does_not_hold_results_back(app, mock, monkeypatch):
    """What is ready is given before more is taken."""
    gate, opened, pools = threading.Event(), [], []

    class Pool(blocking._Pool):
        def __enter__(self):
            pools.append(self)
            return super().__enter__()

    def inputs():
        yield 1
        until(lambda: gate.is_set() or pools[0].results.qsize())  # given, or ready
        yield 3
        opened.append(gate.wait(20))
        yield 5

    monkeypatch.setattr(blocking, "_Pool", Pool)
    results = app.square.map(inputs(), concurrency=4)
    assert next(results) == 1
    gate.set()
    assert list(results) == [9, 25]
    assert opened == [True]


def test_each_item_has_a_fresh_copy_of_the_callers_context(app, mock, drive):
    """What a call sets does not leak into others or back."""

    def mapped():
        token = app.LABEL.set("the caller's")
        try:
            return list(app.labelled.map(range(20), concurrency=2)), app.LABEL.get()
        finally:
            app.LABEL.reset(token)

    found, after = drive.do(mapped)
    assert set(found) == {"the caller's"}
    assert after == "the caller's"


def test_stopping_early_leaves_no_thread(app, mock):
    """``break`` ends the pool."""
    others = set(threading.enumerate())  # of tests before this one
    for _ in app.square.map(range(1000), concurrency=8):
        break

    def left():
        return [each for each in set(threading.enumerate()) - others if each.name == "gpuhub-map"]

    until(lambda: not left())
    assert len(app.SEEN) < 100


def test_stopping_early_on_a_loop_leaves_no_task(app, mock):
    """``aclose`` cancels the window."""

    async def first():
        results = app.square.map_async(range(1000), concurrency=8)
        value = await anext(results)
        await results.aclose()
        return value, len(asyncio.all_tasks())

    assert asyncio.run(first()) == (0, 1)


def test_progress_is_told(app, mock, drive):
    """With the total where the input has a size."""
    told = []
    drive.items(app.add, "map", [1, 2, 3], progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    drive.items(app.add, "map", iter([1]), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (1, None)


def test_a_journal_gives_finished_items_back(app, mock, drive, tmp_path):
    """A second run calls nothing."""
    journal = tmp_path / "run.db"
    items = list(range(8, 30))
    first = drive.items(app.square, "map", items, journal=journal)
    app.SEEN.clear()
    assert drive.items(app.square, "map", items, journal=journal) == first
    assert app.SEEN == []


def test_a_failed_item_is_finished_unless_it_is_to_be_retried(app, mock, drive, tmp_path):
    """Its error is a result like any other."""
    options = {"journal": tmp_path / "run.db", "return_exceptions": True}
    drive.items(app.square, "map", [6, 7, 8], **options)
    app.SEEN.clear()
    again = drive.items(app.square, "map", [6, 7, 8], **options)
    assert isinstance(again[1], gpuhub.RemoteError)
    assert app.SEEN == []
    drive.items(app.square, "map", [6, 7, 8], retry_failed=True, **options)
    assert app.SEEN == [7]


def test_a_journal_of_other_inputs_is_refused(app, mock, drive, tmp_path):
    """Results of one input must not be given for another."""
    drive.items(app.square, "map", [1, 2, 3], journal=tmp_path / "run.db")
    with pytest.raises(gpuhub.JournalError, match="item 1"):
        drive.items(app.square, "map", [1, 5, 3], journal=tmp_path / "run.db")


def test_a_refused_item_runs_in_the_next_run(app, mock, drive, tmp_path):
    """It has not run, so it is not in doubt."""
    mock.fail("unauthorized", on="submit", times=1)
    options = {"concurrency": 1, "journal": tmp_path / "run.db", "return_exceptions": True}
    found = drive.items(app.square, "map", [1, 2], **options)
    assert [type(each).__name__ for each in found] == ["AuthFailed", "int"]
    assert drive.items(app.square, "map", [1, 2], **options) == [1, 4]


@pytest.mark.gpuhub_mock(idempotency_keys=False)
def test_a_lost_answer_is_in_doubt_in_this_run_and_the_next(app, mock, drive, tmp_path):
    """The item ran once, and it is not run again."""
    mock.fail("lost_response", on="submit", times=1)
    options = {"concurrency": 1, "journal": tmp_path / "run.db", "return_exceptions": True}
    first = drive.items(app.square, "map", [1, 2], **options)
    second = drive.items(app.square, "map", [1, 2], **options)
    for found in (first, second):
        assert [type(each).__name__ for each in found] == ["OutcomeUnknown", "int"]
    assert app.SEEN.count(1) == 1


def test_a_map_of_what_is_not_deployed_says_so(app, gpuhub_mock, drive):
    """At the first result, without a thread."""
    with pytest.raises(gpuhub.NotDeployed):
        drive.items(app.square, "map", [1])


@pytest.mark.parametrize("concurrency", [0, -1])
def test_a_concurrency_below_one_is_refused(app, mock, drive, concurrency):
    """By name."""
    with pytest.raises(gpuhub.SpecError, match="concurrency"):
        drive.items(app.square, "map", [1], concurrency=concurrency)
