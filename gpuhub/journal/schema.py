"""The tables, and bringing a file to them."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from gpuhub.errors import JournalError
from gpuhub.journal.failures import BUSY_TIMEOUT_S, is_busy

__all__ = ["VERSION", "prepare"]

APPLICATION_ID = 0x67707568  # "gpuh": tells a journal from another program's database

_STEPS: tuple[tuple[str, ...], ...] = (
    (
        # ``turn`` grows with every change, so the highest is what serves. ``fingerprint`` is the
        # plan's; the one in ``ref`` may be empty, for a deployment that differs from its plan.
        """CREATE TABLE deployments (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            provider TEXT NOT NULL,
            name TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            state TEXT NOT NULL,
            turn INTEGER NOT NULL DEFAULT 0,
            created_at REAL NOT NULL,
            pid INTEGER,
            process TEXT,
            message TEXT NOT NULL DEFAULT '',
            ref TEXT,
            plan TEXT NOT NULL
        )""",
        "CREATE INDEX deployments_by_name ON deployments (provider, name, state)",
        """CREATE TABLE calls (
            key TEXT PRIMARY KEY,
            provider TEXT NOT NULL,
            deployment TEXT NOT NULL,
            mode TEXT NOT NULL,
            begun_at REAL NOT NULL,
            call TEXT,
            outcome TEXT,
            ended_at REAL
        ) WITHOUT ROWID""",
        # Partial: a call that has its answer before it got an id costs no index.
        "CREATE INDEX calls_by_call ON calls (call) WHERE call IS NOT NULL",
        """CREATE TABLE map_runs (
            id INTEGER PRIMARY KEY,
            function TEXT NOT NULL UNIQUE,
            turn INTEGER NOT NULL DEFAULT 0,
            pid INTEGER,
            process TEXT
        )""",
        # The payload is last: counting must not read through it.
        """CREATE TABLE map_items (
            id INTEGER PRIMARY KEY,
            finished INTEGER NOT NULL DEFAULT 0,
            digest BLOB NOT NULL,
            key TEXT NOT NULL,
            call TEXT,
            payload BLOB
        )""",
    ),
)
"""Step ``n`` takes a file from version ``n`` to ``n + 1``; a released step is never edited."""

VERSION = len(_STEPS)
"""The newest version this gpuhub can read."""


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Bring an open file to the newest version, in WAL mode.

    Raises:
        JournalError: A newer gpuhub wrote it, or another program.
        sqlite3.Error: It cannot be read or written.
    """
    version = _version(connection, path)
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    if version < VERSION:
        _upgrade(connection, path)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    # In this order: another process may fill an empty file, in one transaction, between the reads.
    filled = connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID and (filled or version):
        raise JournalError(
            f"{path} is the database of another program, not a journal",
            next_step="name another journal file; gpuhub makes it",
        )
    if version > VERSION:
        raise JournalError(
            f"this gpuhub is older than the journal {path}: it knows version {VERSION} of the "
            f"file, which has version {version}",
            next_step="upgrade gpuhub, or name another journal file",
        )
    return int(version)


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Enter WAL mode. SQLite does not wait by itself when two processes do so at once."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
        else:
            return
        # An exclusive transaction does wait, until the other one is done.
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Again, inside the transaction: another process may have been faster.
        for step in _STEPS[_version(connection, path) :]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
