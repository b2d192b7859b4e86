"""Calls in flight: what is open after a crash, and for how long the rest is kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from gpuhub.adapter import CallRef
from gpuhub.journal import Journal, OpenCall
from gpuhub.journal.calls import KEPT_S

CALL = CallRef("mock", "demo/embed", "call/1")


def begin(journal, key="k1", mode="remote"):
    """Begin a call."""
    journal.begin_call(key, provider="mock", deployment="demo/embed", mode=mode)


def outcomes(path):
    """All rows of the file, by key."""
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT key, outcome FROM calls").fetchall())


def test_a_begun_call_is_open(path):
    """A call is open before anybody knows whether the submit arrived."""
    journal = Journal(path, now=lambda: 5.0)
    begin(journal)
    (found,) = journal.open_calls()
    journal.close()
    assert found == OpenCall("k1", "mock", "demo/embed", "remote", None, 5.0)


def test_an_accepted_call_has_its_reference(journal):
    """The reference comes back whole, slashes included."""
    begin(journal, mode="spawn")
    journal.accept_call("k1", CALL)
    (found,) = journal.open_calls()
    assert (found.call, found.mode) == (CALL, "spawn")


def test_the_end_of_a_remote_call_leaves_nothing(journal, path):
    """Its caller has the result: the row is dropped."""
    begin(journal)
    journal.accept_call("k1", CALL)
    journal.end_call("k1", "succeeded")
    assert journal.open_calls() == []
    assert outcomes(path) == {}


def test_the_end_of_a_spawned_call_is_kept_for_a_week(path):
    """It is no longer open, is remembered for seven days, and is dropped at a later open."""
    clock = [100.0]
    journal = Journal(path, now=lambda: clock[0])
    begin(journal, mode="spawn")
    begin(journal, "open", mode="spawn")
    journal.end_call("k1", "succeeded")
    assert [one.key for one in journal.open_calls()] == ["open"]
    journal.close()
    clock[0] += KEPT_S
    begin(journal, "k2")
    assert outcomes(path) == {"k1": "succeeded", "k2": None, "open": None}
    journal.close()
    clock[0] += 1
    begin(journal, "k3")
    journal.close()
    assert outcomes(path) == {"k2": None, "k3": None, "open": None}


def test_a_forgotten_call_is_dropped(journal, path):
    """By its reference, as its caller knows no key; others stay."""
    for number in (1, 2):
        begin(journal, f"k{number}", mode="spawn")
        journal.accept_call(f"k{number}", CallRef("mock", "demo", str(number)))
    journal.forget_call(CallRef("mock", "demo", "2"))
    journal.forget_call(CallRef("mock", "demo", "3"))
    assert outcomes(path) == {"k1": None}


def test_ending_an_unknown_call_is_no_error(journal, path):
    """Nothing was lost."""
    journal.end_call("k1", "succeeded")
    assert outcomes(path) == {}


def test_open_calls_are_in_the_order_of_their_begin(path):
    """Oldest first."""
    clock = [0.0]
    journal = Journal(path, now=lambda: clock[0])
    for key, clock[0] in [("a", 3.0), ("b", 1.0), ("c", 2.0)]:
        begin(journal, key)
    found = [(one.key, one.begun_at) for one in journal.open_calls()]
    journal.close()
    assert found == [("b", 1.0), ("c", 2.0), ("a", 3.0)]


def test_a_key_that_is_tried_again_keeps_the_reference(journal):
    """The try before may have been accepted, and it may still run."""
    begin(journal, mode="spawn")
    journal.accept_call("k1", CALL)
    begin(journal, mode="spawn")
    assert [one.call for one in journal.open_calls()] == [CALL]


def test_a_key_that_is_used_again_after_its_end_is_new(journal):
    """Nothing of the ended call stays."""
    begin(journal, mode="spawn")
    journal.accept_call("k1", CALL)
    journal.end_call("k1", "failed")
    begin(journal, mode="remote")
    (found,) = journal.open_calls()
    assert (found.call, found.mode) == (None, "remote")
