"""Several threads, several processes, forks and kills at any moment."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from contextlib import closing

import pytest

from gpuhub.adapter import CallRef
from gpuhub.journal import Finished, Journal, MapCounts

HEAD = """
import os, sys
from pathlib import Path
from gpuhub.adapter import DeploymentRef
from gpuhub.journal import Journal
path, name = Path(sys.argv[1]), sys.argv[2]
def begin(journal, key):
    journal.begin_call(key, provider="mock", deployment=name, mode="spawn")
"""

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def keys(path):
    """Keys of the open calls, as a fresh journal reads them."""
    with closing(Journal(path)) as journal:
        return sorted(one.key for one in journal.open_calls())


def test_64_threads_share_a_journal(journal):
    """Nothing is lost or mixed up, whatever the threads do at once."""
    run = journal.open_map(function="demo")
    failures = []
    together = threading.Barrier(64)

    def work(number):
        try:
            together.wait()
            for turn in range(5):
                index = number * 5 + turn
                run.start(index, b"d" * 32, f"key-{index}")
                key = f"call-{index}"
                journal.begin_call(key, provider="mock", deployment="demo", mode="spawn")
                journal.accept_call(key, CallRef("mock", "demo", key))
                run.finish(index, str(index).encode())
                if turn == 0:
                    journal.end_call(key, "succeeded")
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert run.counts() == MapCounts(320, 0)
    assert all(run.lookup(at, b"d" * 32) == Finished(str(at).encode()) for at in range(320))
    assert len(journal.open_calls()) == 64 * 4


WRITE_500 = (
    HEAD
    + """
journal = Journal(path)
print("ready", flush=True); sys.stdin.readline()
for number in range(500):
    begin(journal, f"{name}-{number}")
    if number % 100 == 0:
        record = journal.begin_deploy(provider="mock", name=name, fingerprint="", plan={})
        made = DeploymentRef(provider="mock", name=name, address=name, version=str(number))
        journal.finish_deploy(record, made)
"""
)


def test_two_processes_write_at_once(path, launch):
    """Both make the file, both write 500 rows and some deploys: none is lost."""
    writers = [launch(WRITE_500, path, name) for name in ("a", "b")]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(keys(path)) == 1000
    with closing(Journal(path)) as journal:
        assert [one.ref.version for one in journal.deployments()] == ["400", "400"]


OPEN_AT_ONCE = (
    HEAD
    + """
print("ready", flush=True); sys.stdin.readline()
for number in range(20):
    journal = Journal(path.with_name(f"{number}.db"))
    begin(journal, name)
    journal.close()
"""
)


def test_processes_that_make_the_file_at_once(path, launch):
    """Whoever is first makes the tables; the others wait instead of failing."""
    writers = [launch(OPEN_AT_ONCE, path, name) for name in "abc"]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert all(keys(path.with_name(f"{number}.db")) == ["a", "b", "c"] for number in range(20))


ENDLESS = (
    HEAD
    + """
journal = Journal(path)
run = journal.open_map(function="demo")
number = 0
while True:
    record = journal.begin_deploy(provider="mock", name=f"d{number}", fingerprint="", plan={})
    print("deploy", f"d{number}", flush=True)
    for index in range(number * 20, number * 20 + 20):
        run.start(index, b"d" * 32, "key")
        print("start", index, flush=True)
        begin(journal, f"c{index}")
        print("call", f"c{index}", flush=True)
        if index % 2:
            run.finish(index, b"x" * 5000)
            print("finish", index, flush=True)
    number += 1
"""
)


def test_kill_9_loses_nothing_acknowledged(path, launch):
    """After a kill in the middle of writes the file opens and every acknowledged one is there."""
    writer = launch(ENDLESS, path, "demo")
    lines = [writer.stdout.readline() for _ in range(2000)]
    writer.kill()
    lines += writer.stdout.readlines()
    acknowledged = defaultdict(set)
    for what, name in (line.split() for line in lines if line.endswith("\n")):
        acknowledged[what].add(name)
    writer.wait()
    with closing(Journal(path)) as journal:
        run = journal.open_map(function="demo")
        assert journal._store.rows("PRAGMA integrity_check") == [("ok",)]
        assert acknowledged["deploy"] <= {one.name for one in journal.unfinished_deploys()}
        assert acknowledged["call"] <= {one.key for one in journal.open_calls()}
        unfinished = {str(index) for index in run.started()}
        finished = {
            index
            for index in acknowledged["start"]
            if isinstance(run.lookup(int(index), b"d" * 32), Finished)
        }
        assert acknowledged["start"] <= finished | unfinished
        assert acknowledged["finish"] <= finished
        assert not any(one.alive for one in journal.unfinished_deploys())


FORK = (
    HEAD
    + """
journal = Journal(path)
begin(journal, "before")
to_child, from_parent = os.pipe()
child = os.fork()
if not child:
    begin(journal, "child-1")
    os.read(to_child, 1)
    begin(journal, "child-2")
    os._exit(0)  # as multiprocessing ends its processes: without any clean-up
begin(journal, "parent")
journal.close()
os.write(from_parent, b"x")
_, status = os.waitpid(child, 0)
begin(journal, "after")
sys.exit(status)
"""
)


@posix
def test_a_fork_opens_the_file_again(path, launch):
    """Both sides write after a fork, also once the other side has closed: nothing is lost."""
    assert launch(FORK, path, "demo").wait() == 0
    assert keys(path) == ["after", "before", "child-1", "child-2", "parent"]


FORK_THREADS = (
    HEAD
    + """
import threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads: what is tested here
journal = Journal(path)
stop = threading.Event()
def write():
    number = 0
    while not stop.is_set() or number < 50:
        begin(journal, f"thread-{number}")
        number += 1
threads = [threading.Thread(target=write) for _ in range(4)]
for thread in threads:
    thread.start()
children = []
for number in range(10):
    child = os.fork()
    if not child:
        begin(journal, f"child-{number}")
        os._exit(0)
    children.append(child)
stop.set()
for thread in threads:
    thread.join()
sys.exit(max(os.waitpid(child, 0)[1] for child in children))
"""
)


@posix
def test_a_fork_while_threads_write(path, launch):
    """The child does not inherit a lock that nobody will release."""
    assert launch(FORK_THREADS, path, "demo").wait(timeout=50) == 0
    found = keys(path)
    assert {f"child-{number}" for number in range(10)} <= set(found)
    assert {f"thread-{number}" for number in range(50)} <= set(found)


FORK_MAP = (
    HEAD
    + """
from gpuhub.errors import JournalError
run = Journal(path).open_map(function="demo")
child = os.fork()
if not child:
    try:
        run.start(0, b"", "key")
    except JournalError as error:
        run.close()
        os._exit("forked" in error.message)
    os._exit(2)
_, status = os.waitpid(child, 0)
try:
    Journal(path).open_map(function="demo")
except JournalError:
    sys.exit(os.waitstatus_to_exitcode(status) + 10)
"""
)


@posix
def test_a_map_belongs_to_the_process_that_opened_it(path, launch):
    """The child starts no items, and its close does not give up the parent's ownership."""
    assert launch(FORK_MAP, path, "demo").wait() == 11
