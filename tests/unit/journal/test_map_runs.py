"""Progress of maps: each item once, and one owner at a time."""

from __future__ import annotations

import os
import sqlite3
import tracemalloc
from contextlib import closing

import pytest

from gpuhub.errors import JournalError
from gpuhub.journal import Finished, Journal, MapCounts, Started

DIGEST = b"d" * 32
OWNER = """
import sys; from pathlib import Path; from gpuhub.journal import Journal
run = Journal(Path(sys.argv[1])).open_map(function="demo-embed")
run.start(3, b"d" * 32, "key-3")
print("owned", flush=True); sys.stdin.read()
"""


@pytest.fixture
def run(journal):
    """Give a map that nobody ran before."""
    return journal.open_map(function="demo-embed")


def test_an_item_from_new_to_finished(run):
    """Each stage is what lookup tells."""
    assert run.lookup(0, DIGEST) is None
    run.start(0, DIGEST, "key")
    assert run.lookup(0, DIGEST) == Started("key", None)
    run.accept(0, "mock://demo/1")
    assert run.lookup(0, DIGEST) == Started("key", "mock://demo/1")
    run.finish(0, b'{"result": 1}')
    assert run.lookup(0, DIGEST) == Finished(b'{"result": 1}')


def test_an_empty_answer_is_an_answer(run):
    """An empty payload is not taken for a missing one."""
    run.start(0, DIGEST, "key")
    run.finish(0, b"")
    assert run.lookup(0, DIGEST) == Finished(b"")


def test_progress_survives_a_close(journal, path, run):
    """A later run in another process finds what this one left."""
    run.start(0, DIGEST, "key-0")
    run.finish(0, b"0")
    run.start(1, DIGEST, "key-1")
    run.close()
    journal.close()
    with closing(Journal(path)) as later:
        again = later.open_map(function="demo-embed")
        assert again.lookup(0, DIGEST) == Finished(b"0")
        assert again.lookup(1, DIGEST) == Started("key-1", None)


def test_a_reopened_item_is_new(run):
    """A refused item has not run: whoever comes next takes it as new."""
    run.start(0, DIGEST, "key")
    run.reopen(0)
    assert run.lookup(0, DIGEST) is None


def test_a_restarted_item_forgets_its_earlier_try(run):
    """An answer or reference of the try before must not be taken for one of this try."""
    run.start(0, DIGEST, "first")
    run.accept(0, "mock://demo/1")
    run.finish(0, b"1")
    run.start(0, DIGEST, "second")
    assert run.lookup(0, DIGEST) == Started("second", None)


def test_other_inputs_are_refused(run):
    """An item that differs means that the file belongs to another map."""
    run.start(17, DIGEST, "key")
    message = r"belongs to other inputs: item 17 of demo-embed differs(.|\n)*new journal file"
    with pytest.raises(JournalError, match=message):
        run.lookup(17, b"e" * 32)


def test_counts_and_started(journal, run):
    """Counted for each function of the file apart."""
    other = journal.open_map(function="demo-other")
    other.start(0, DIGEST, "key")
    assert run.counts() == MapCounts(0, 0)
    for index in (5, 0, 2, 7):
        run.start(index, DIGEST, f"key-{index}")
    run.finish(2, b"2")
    assert run.counts() == MapCounts(finished=1, started=3)
    assert run.started() == [0, 5, 7]
    assert other.counts() == MapCounts(0, 1)


def test_items_of_two_functions_are_apart(journal, run):
    """The same index in another function is another item."""
    other = journal.open_map(function="demo-other")
    run.start(0, DIGEST, "mine")
    assert other.lookup(0, DIGEST) is None


@pytest.mark.parametrize(
    "change",
    [lambda run: run.accept(0, "x"), lambda run: run.finish(0, b"")],
    ids=["accept", "finish"],
)
def test_an_answer_for_a_lost_item_is_an_error(run, change):
    """An answer that finds no row to go to is not dropped silently."""
    with pytest.raises(JournalError, match="has lost item 0"):
        change(run)


def test_a_second_map_of_this_process_is_refused(journal, path, run):
    """Two maps over one file would run items twice."""
    with closing(Journal(path)) as other:
        with pytest.raises(JournalError, match=rf"this process \(pid {os.getpid()}\)"):
            other.open_map(function="demo-embed")
        other.open_map(function="demo-other").close()
        run.close()
        other.open_map(function="demo-embed").close()


def test_a_living_owner_is_named_and_a_dead_one_taken_over(journal, path, launch):
    """A map of another process is refused while that one lives, and goes on once it is killed."""
    owner = launch(OWNER, path)
    assert owner.stdout.readline() == "owned\n"
    with pytest.raises(JournalError, match=rf"another process \(pid {owner.pid}\)"):
        journal.open_map(function="demo-embed")
    owner.kill()
    os.waitid(os.P_PID, owner.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet looked at
    taken = journal.open_map(function="demo-embed")
    assert taken.lookup(3, DIGEST) == Started("key-3", None)


def test_an_owner_whose_id_is_used_again_is_dead(journal, path, run):
    """A process of the owner's id that started at another time is another process."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE map_runs SET process = 'before the restart'")
    with closing(Journal(path)) as other:
        taken = other.open_map(function="demo-embed")
        run.close()  # gives up nothing: it is no longer the owner
        with pytest.raises(JournalError, match="is running in this process"):
            journal.open_map(function="demo-embed")
        taken.close()


def test_a_closed_map_starts_nothing(run):
    """Only answers of what is still in flight are recorded after the close."""
    run.start(0, DIGEST, "key")
    run.close()
    run.close()
    with pytest.raises(JournalError, match="was closed"):
        run.start(1, DIGEST, "key")
    with pytest.raises(JournalError, match="was closed"):
        run.reopen(0)
    run.accept(0, "mock://demo/1")
    run.finish(0, b"late")
    assert run.lookup(0, DIGEST) == Finished(b"late")


def test_counting_does_not_load_the_payloads(run):
    """A journal larger than the memory can be counted and listed."""
    payload = b"x" * 1_000_000
    for index in range(20):
        run.start(index, DIGEST, "key")
        run.finish(index, payload)
    tracemalloc.start()
    run.counts()
    run.started()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(payload)


def test_reading_without_a_file(journal, path, run):
    """A file that was deleted under the map has no items."""
    run.close()
    journal.close()
    path.unlink()
    assert run.counts() == MapCounts(0, 0)
    assert run.started() == []
    assert not path.exists()
