"""What SQLite and the operating system say, in words that help."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gpuhub.errors import JournalError

__all__ = ["BUSY_TIMEOUT_S", "failure", "is_busy"]

BUSY_TIMEOUT_S = 10.0
"""Seconds to wait for another process that writes."""

_ELSEWHERE = "or name another journal file"
_WRITABLE = (
    "it cannot be opened for reading and writing",
    f"make the file and its folder writable, {_ELSEWHERE}",
)
_DAMAGED = (
    "it is damaged, or no journal",
    f"move the file away, so that gpuhub starts a new one, {_ELSEWHERE}",
)
_LOCKED = (
    f"another process has kept it locked for {BUSY_TIMEOUT_S:.0f} s",
    "wait until the other gpuhub process is done, or stop it",
)
_FULL = ("the disk is full", f"free space on the disk that holds it, {_ELSEWHERE}")
_BROKEN = (
    "reading or writing it failed",
    f"check the disk and the limit on the size of files, {_ELSEWHERE}",
)
_BY_CODE = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_READONLY: _WRITABLE,
    sqlite3.SQLITE_CANTOPEN: _WRITABLE,
    sqlite3.SQLITE_PERM: _WRITABLE,
    sqlite3.SQLITE_IOERR: _BROKEN,
}
_UNNAMED = ("it does not work as a journal", _DAMAGED[1])


def failure(path: Path, error: sqlite3.Error | OSError) -> JournalError:
    """Say what is wrong with the file, and what to do about it."""
    if isinstance(error, OSError):
        why, next_step = _WRITABLE
    else:
        why, next_step = _BY_CODE.get(_primary_code(error), _UNNAMED)
    code = getattr(error, "sqlite_errorname", None)
    return JournalError(f"the journal {path}: {why} ({error})", next_step=next_step, code=code)


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection was in the way."""
    return _primary_code(error) == sqlite3.SQLITE_BUSY


def _primary_code(error: sqlite3.Error) -> int:
    # The extended code adds its detail above the lowest byte.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
