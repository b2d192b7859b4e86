"""What the journal costs on the hot path: ``pytest tests/benchmarks/bench_journal.py``.

Medians, each beside that of the same statements on a bare ``sqlite3`` connection in the same run.
The tables of both are small, so the numbers are those of the commit and of the code around it.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from gpuhub.adapter import DeploymentRef
from gpuhub.journal import Journal
from tests.benchmarks.measuring import by_turns

pytestmark = pytest.mark.benchmark

ROUNDS = 3000
WARM_UP = 200
DIGEST = b"d" * 32
REF = DeploymentRef(provider="mock", name="demo-embed", address="demo-embed")


def median_us(work: Callable[[int], object], rounds: int = ROUNDS) -> float:
    """Run work again and again and give its median in microseconds."""
    return 1e6 * by_turns(work, count=rounds, warm=WARM_UP)[0]


@pytest.fixture
def journal(tmp_path) -> Iterator[Journal]:
    """Give a journal on the disk of the temporary folder."""
    with closing(Journal(tmp_path / "journal.db")) as opened:
        yield opened


@pytest.fixture
def bare(tmp_path) -> Iterator[sqlite3.Connection]:
    """Give a connection with the journal's settings and smaller tables."""
    connection = sqlite3.connect(tmp_path / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE calls (key TEXT PRIMARY KEY, facts TEXT) WITHOUT ROWID")
    connection.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, digest BLOB, key TEXT)")
    with closing(connection):
        yield connection


@pytest.fixture
def report(capsys) -> Callable[..., None]:
    """Print a line past pytest's capture."""

    def line(what: str, cost: float, bare: float | None = None, limit: float | None = None) -> None:
        text = f"\n{what:<28}{cost:8.1f} us"
        if bare is not None:
            text += f"   {cost / bare:5.2f} x bare sqlite3 ({bare:.1f} us)"
        if limit is not None:
            text += f"   limit {limit:.0f} us"
        with capsys.disabled():
            print(text, end="")

    return line


def test_a_call(journal, bare, report):
    """Begin and end of a remote call: at most 60 us together."""

    def work(_):
        key = uuid.uuid4().hex
        journal.begin_call(key, provider="mock", deployment="demo-embed", mode="remote")
        journal.end_call(key, "succeeded")

    def bare_work(_):
        key = uuid.uuid4().hex
        bare.execute("INSERT INTO calls VALUES (?, ?)", (key, "mock demo-embed remote"))
        bare.execute("DELETE FROM calls WHERE key = ?", (key,))

    cost = median_us(work)
    report("begin_call + end_call", cost, median_us(bare_work), 60)
    assert cost <= 60


def test_the_start_of_an_item(journal, bare, report):
    """The start of a new item of a map: at most 30 us."""
    run = journal.open_map(function="demo-embed")
    insert = "INSERT INTO items VALUES (?, ?, ?)"
    cost = median_us(lambda index: run.start(index, DIGEST, f"{index:032}"))
    on_bare = median_us(lambda index: bare.execute(insert, (index, DIGEST, f"{index:032}")))
    report("MapRun.start", cost, on_bare, 30)
    run.close()
    assert cost <= 30


def test_a_whole_item(journal, report):
    """All that the journal does for one item of a map, for the record."""
    run = journal.open_map(function="demo-embed")

    def work(index):
        run.lookup(index, DIGEST)
        run.start(index, DIGEST, f"{index:032}")
        run.accept(index, "mock://demo-embed/0123456789abcdef")
        run.finish(index, b'{"result": [0.25, 0.5, 0.75]}')

    report("lookup, start, accept, finish", median_us(work))
    report("lookup of a finished item", median_us(lambda index: run.lookup(index, DIGEST)))
    run.close()


def test_a_deploy(journal, report):
    """Begin and end of a deploy, both synced to the disk, for the record."""
    facts = {"provider": "mock", "name": "demo-embed", "fingerprint": "f", "plan": {"a": 1}}

    def work(_):
        journal.finish_deploy(journal.begin_deploy(**facts), REF)

    report("begin_deploy + finish_deploy", median_us(work, rounds=100))
