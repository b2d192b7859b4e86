"""The file itself: made late and private, and every trouble with it said in words."""

from __future__ import annotations

import gc
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gpuhub.adapter import DeploymentRef
from gpuhub.errors import JournalError
from gpuhub.journal import Journal
from gpuhub.journal.schema import VERSION


def begin_call(journal, key="key"):
    """Begin a call."""
    journal.begin_call(key, provider="mock", deployment="demo", mode="remote")


FACTS = {"provider": "mock", "name": "demo", "fingerprint": "f", "plan": {}}
REF = DeploymentRef(provider="mock", name="demo", address="demo")
USES = {
    "begin_deploy": lambda journal: journal.begin_deploy(**FACTS),
    "finish_deploy": lambda journal: journal.finish_deploy(1, REF),
    "fail_deploy": lambda journal: journal.fail_deploy(1, "x"),
    "update_deployment": lambda journal: journal.update_deployment(REF),
    "forget_deployment": lambda journal: journal.forget_deployment("mock", "demo"),
    "resolve_unfinished": lambda journal: journal.resolve_unfinished(1, "x"),
    "begin_call": begin_call,
    "end_call": lambda journal: journal.end_call("key", "x"),
    "open_map": lambda journal: journal.open_map(function="demo"),
}
READS = {
    "deployment": lambda journal: journal.deployment("mock", "demo"),
    "deployments": lambda journal: journal.deployments(),
    "unfinished_deploys": lambda journal: journal.unfinished_deploys(),
    "open_calls": lambda journal: journal.open_calls(),
}
ALL_USES = pytest.mark.parametrize("use", [*USES.values(), *READS.values()], ids=[*USES, *READS])
posix = pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")


def execute(path, *statements):
    """Change the file behind the journal's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_the_file_is_made_at_the_first_write(journal, path):
    """Neither making a journal nor reading from it touches the disk."""
    for read in READS.values():
        assert not read(journal)
    assert not path.parent.exists()
    begin_call(journal)
    assert path.exists()


@posix
def test_file_and_folder_are_private(journal, path):
    """Plans and payloads are nobody else's business, SQLite's side files included."""
    previous = os.umask(0o022)
    try:
        begin_call(journal)
    finally:
        os.umask(previous)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(["journal.db", "journal.db-wal", "journal.db-shm"], 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@posix
def test_an_existing_folder_keeps_its_mode(tmp_path):
    """A journal of a map lies in the user's folder."""
    tmp_path.chmod(0o755)
    with closing(Journal(tmp_path / "run.db")) as journal:
        begin_call(journal)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_relative_path_is_fixed_at_once(tmp_path, monkeypatch):
    """Changing the folder later does not change the journal."""
    monkeypatch.chdir(tmp_path)
    journal = Journal(Path("run.db"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    begin_call(journal)
    journal.close()
    assert journal.path == tmp_path / "run.db"
    assert journal.path.exists()
    assert repr(journal) == f"Journal({str(tmp_path / 'run.db')!r})"


def test_an_empty_file_becomes_a_journal(tmp_path):
    """As tempfile makes them."""
    path = tmp_path / "run.db"
    path.touch()
    with closing(Journal(path)) as journal:
        begin_call(journal)
        assert len(journal.open_calls()) == 1


def test_a_closed_journal_opens_again(journal):
    """A workspace can be used after its close."""
    begin_call(journal)
    journal.close()
    journal.close()
    assert len(journal.open_calls()) == 1


def test_a_closed_journal_is_one_file(journal, path):
    """It can be copied: nothing of it is in SQLite's side files."""
    begin_call(journal)
    journal.close()
    assert [file.name for file in path.parent.iterdir()] == ["journal.db"]


def test_a_forgotten_journal_closes_itself(path):
    """No warning of an unclosed file, and no descriptor stays open."""
    journal = Journal(path)
    begin_call(journal)
    connection = journal._store._connection()
    del journal
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_deploys_are_synced_and_calls_are_not(journal):
    """A deploy survives the loss of power; a call costs no sync and survives kill -9."""
    begin_call(journal)
    synchronous = []

    def trace(statement):
        if statement.startswith(("PRAGMA synchronous", "INSERT", "COMMIT")):
            synchronous.append(statement.split("(")[0].strip())

    journal._store._live.set_trace_callback(trace)
    journal.begin_deploy(**FACTS)
    begin_call(journal, "key-2")
    assert synchronous == [
        "PRAGMA synchronous = FULL",
        "INSERT INTO deployments",
        "COMMIT",
        "PRAGMA synchronous = NORMAL",
        "INSERT INTO calls",
    ]
    assert journal._store.rows("PRAGMA synchronous") == [(1,)]
    assert journal._store.rows("PRAGMA journal_mode") == [("wal",)]


@ALL_USES
def test_a_newer_file_is_refused(path, use):
    """An older gpuhub must not write what a newer one would not understand."""
    with closing(Journal(path)) as journal:
        begin_call(journal)
    execute(path, f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(JournalError, match=f"gpuhub is older than the journal {path}") as caught:
        use(Journal(path))
    assert "upgrade gpuhub" in caught.value.next_step


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE users (name)"],
        ["CREATE TABLE users (name)", f"PRAGMA user_version = {VERSION}"],
        ["CREATE TABLE users (name)", "PRAGMA application_id = 5"],
        ["PRAGMA user_version = 1"],
    ],
    ids=["tables", "tables-and-version", "other-application", "version"],
)
def test_a_database_of_another_program_is_left_alone(tmp_path, statements):
    """Naming the wrong file does not put tables into it."""
    path = tmp_path / "app.db"
    execute(path, *statements)
    before = path.read_bytes()
    with pytest.raises(JournalError, match="database of another program"):
        begin_call(Journal(path))
    assert path.read_bytes() == before


@ALL_USES
def test_a_file_that_is_no_database_is_refused(tmp_path, use):
    """The path and the way out are in the message; the file stays as it is."""
    path = tmp_path / "journal.db"
    path.write_bytes(b"not a database, but long enough to be read as one" * 20)
    before = path.read_bytes()
    with pytest.raises(JournalError, match=f"{path}: it is damaged") as caught:
        use(Journal(path))
    assert "move the file away" in caught.value.next_step
    assert caught.value.code == "SQLITE_NOTADB"
    assert path.read_bytes() == before


def test_a_damaged_page_is_an_error(journal, path):
    """Damage inside of the file is found when it is read."""
    for number in range(100):
        begin_call(journal, f"key-{number}")
    journal.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(JournalError, match="it is damaged"):
        journal.open_calls()


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_folder_that_cannot_be_made_is_an_error(tmp_path, use):
    """Where a file is in the way; the same as a folder without permission."""
    (tmp_path / "state").write_text("a file")
    with pytest.raises(JournalError, match="cannot be opened for reading and writing") as caught:
        use(Journal(tmp_path / "state" / "journal.db"))
    assert "make the file and its folder writable" in caught.value.next_step


def test_a_folder_instead_of_the_file_is_an_error(tmp_path):
    """SQLite's own refusal to open is worded the same way."""
    with pytest.raises(JournalError, match="cannot be opened for reading and writing"):
        begin_call(Journal(tmp_path))


def test_a_read_only_file_is_an_error(journal):
    """SQLite refuses to write, for whatever reason."""
    begin_call(journal)
    journal._store._live.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalError, match="cannot be opened for reading and writing") as caught:
        begin_call(journal, "key-2")
    assert caught.value.code == "SQLITE_READONLY"


def test_a_locked_file_is_an_error(journal, path):
    """Another process that never ends its transaction is named as the reason."""
    begin_call(journal)
    journal._store._live.execute("PRAGMA busy_timeout = 20")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for use in (USES["begin_call"], USES["begin_deploy"]):
            with pytest.raises(JournalError, match="another process has kept it locked"):
                use(journal)
        other.execute("ROLLBACK")
    begin_call(journal, "key-2")
    assert len(journal.open_calls()) == 2


def test_a_transaction_that_reads_first_keeps_others_out(journal, path):
    """Nobody writes between its read and its write, which would make the write fail."""
    journal.update_deployment(REF)
    refused = []

    def write_too(statement):
        if statement.startswith("SELECT id FROM deployments"):
            with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
                try:
                    other.execute("DELETE FROM calls")
                except sqlite3.OperationalError as error:
                    refused.append(error.sqlite_errorname)

    journal._store._connection().set_trace_callback(write_too)
    journal.update_deployment(REF)
    assert refused == ["SQLITE_BUSY"]


def test_the_wait_for_another_process_is_ten_seconds(journal):
    """Long enough for any transaction of gpuhub, short enough to notice."""
    begin_call(journal)
    assert journal._store.rows("PRAGMA busy_timeout") == [(10_000,)]


def test_a_full_disk_loses_nothing_acknowledged(journal):
    """The write that does not fit is an error, those before are there, those after work again."""
    begin_call(journal)
    ((pages,),) = journal._store.rows("PRAGMA page_count")
    journal._store.rows(f"PRAGMA max_page_count = {pages}")
    large = {**FACTS, "plan": {"text": "x" * 100_000}}
    with pytest.raises(JournalError, match="the disk is full") as caught:
        journal.begin_deploy(**large)
    assert "free space" in caught.value.next_step
    assert journal.unfinished_deploys() == []
    assert len(journal.open_calls()) == 1
    journal._store.rows("PRAGMA max_page_count = 100000")
    journal.begin_deploy(**large)
    assert len(journal.unfinished_deploys()) == 1
    assert journal._store.rows("PRAGMA synchronous") == [(1,)]


FILL = """
import sys; from pathlib import Path
from gpuhub.errors import JournalError; from gpuhub.journal import Journal
if len(sys.argv) > 2:
    import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
run = Journal(Path(sys.argv[1])).open_map(function="demo")
try:
    for index in range(100_000):
        run.start(index, b"d" * 32, "key" * 100)
        print(index, flush=True)
except JournalError as error:
    print(error.message)
"""


def fill(path, *more):
    """Start items until that fails; give those acknowledged, and the error."""
    command = [sys.executable, "-c", FILL, path, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *written, message = done.stdout.splitlines()
    return [int(index) for index in written], message


@posix
def test_a_limit_on_the_size_of_files_loses_nothing_acknowledged(path):
    """As batch systems set it: the operating system refuses to write in the middle of a page."""
    written, message = fill(path, "limited")
    assert f"the journal {path}: reading or writing it failed" in message
    with closing(Journal(path)) as journal:
        assert journal.open_map(function="demo").started() == written


@pytest.fixture
def tiny_disk(tmp_path):
    """Mount a file system of one megabyte, where the test may do so."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("mounting is not permitted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_really_full_loses_nothing_acknowledged(tiny_disk, tmp_path):
    """What was written before the disk was full is there, on a larger one."""
    written, message = fill(tiny_disk / "run.db")
    assert f"the journal {tiny_disk / 'run.db'}: the disk is full" in message
    for file in tiny_disk.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with closing(Journal(tmp_path / "run.db")) as journal:
        assert journal.open_map(function="demo").started() == written
