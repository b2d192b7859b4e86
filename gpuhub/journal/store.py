"""The open file: one connection, its lock, its transactions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any
from weakref import finalize

from gpuhub.journal.failures import BUSY_TIMEOUT_S, failure
from gpuhub.journal.forks import forks
from gpuhub.journal.schema import prepare

__all__ = ["Row", "Store"]

Row = tuple[Any, ...]


class Store:
    """A journal file, opened at first use and again after a close or a fork.

    Args:
        path: The file. It and its folder are made when something is first written.
        opened: Called with every new connection, once the tables are there.

    Every method raises :class:`~gpuhub.errors.JournalError` when the file cannot be used.
    """

    def __init__(self, path: Path, opened: Callable[[sqlite3.Connection], None]) -> None:
        self.path = path.absolute()
        self._opened = opened
        self._lock = RLock()
        self._live: sqlite3.Connection | None = None
        self._close: Callable[[], Any] = _nothing
        forks.watch(self)

    def write(self, statement: str, *values: Any) -> int:
        """Run one statement as its own transaction and give the number of rows it changed.

        Returns once it survives the death of this process; not, as a ``durable`` transaction
        does, the death of the machine.
        """
        with self._lock:
            try:
                return self._connection().execute(statement, values).rowcount
            except (sqlite3.Error, OSError) as error:
                raise failure(self.path, error) from error

    def rows(self, statement: str, *values: Any) -> list[Row]:
        """Read all rows; none where there is no file yet, which reading does not make."""
        with self._lock:
            try:
                if self._live is None and not self.path.exists():
                    return []
                return self._connection().execute(statement, values).fetchall()
            except (sqlite3.Error, OSError) as error:
                raise failure(self.path, error) from error

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Commit what the block does, or nothing of it.

        Args:
            durable: Return only once it survives the loss of power, too (``synchronous=FULL``).
        """
        with self._lock:
            try:
                connection = self._connection()
                if durable:
                    connection.execute("PRAGMA synchronous = FULL")
                try:
                    with _committed(connection):
                        yield connection
                finally:
                    if durable:
                        connection.execute("PRAGMA synchronous = NORMAL")
            except (sqlite3.Error, OSError) as error:
                raise failure(self.path, error) from error

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            close, self._close, self._live = self._close, _nothing, None
            close()

    def pause(self) -> None:
        """Close the connection and keep the lock, while the process forks."""
        self._lock.acquire()
        with suppress(sqlite3.Error):
            self.close()

    def resume(self) -> None:
        """Give the lock back, on either side of the fork."""
        self._lock.release()

    def _connection(self) -> sqlite3.Connection:
        if self._live is None:
            connection = self._connect()
            # Also closes when the store is forgotten, and when the interpreter ends.
            self._close = finalize(self, _close_unused, self._lock, connection)
            self._live = connection
        return self._live

    def _connect(self) -> sqlite3.Connection:
        _make_file(self.path)
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            prepare(connection, self.path)
            self._opened(connection)
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def _committed(connection: sqlite3.Connection) -> Iterator[None]:
    # IMMEDIATE: waits for other writers here, where waiting helps, not at the first write.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _make_file(path: Path) -> None:
    """Make the file and its folder, readable by the user alone. Existing ones stay as they are.

    An existing file is not even opened: closing it would drop the locks that SQLite may hold on
    it elsewhere in this process.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _close_unused(lock: RLock, connection: sqlite3.Connection) -> None:
    # A daemon thread may still write when the interpreter ends: then the file needs no close.
    if lock.acquire(timeout=1):
        try:
            connection.close()
        finally:
            lock.release()


def _nothing() -> None:
    """Close nothing."""
