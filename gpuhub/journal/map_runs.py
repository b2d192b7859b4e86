"""Progress of a map: which items ran, and what they gave."""

from __future__ import annotations

import os
from dataclasses import dataclass

from gpuhub.errors import JournalError
from gpuhub.journal.processes import Process
from gpuhub.journal.store import Store

__all__ = ["Finished", "MapCounts", "MapRun", "Started", "open_run"]

# An item's row id is the run's id above 40 bits of index: new items are appended, which is the
# cheapest insert there is, and one lookup reads one path of the tree.
_INDEX_BITS = 40

_START = (
    "INSERT INTO map_items (id, digest, key) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
    " digest = excluded.digest, key = excluded.key, call = NULL, finished = 0, payload = NULL"
)
_ACCEPT = "UPDATE map_items SET call = ? WHERE id = ?"
_FINISH = "UPDATE map_items SET finished = 1, payload = ? WHERE id = ?"
_REOPEN = "DELETE FROM map_items WHERE id = ?"
_LOOKUP = "SELECT digest, key, call, finished, payload FROM map_items WHERE id = ?"
_COUNT = "SELECT coalesce(sum(finished), 0), count(*) FROM map_items WHERE id BETWEEN ? AND ?"
_STARTED = "SELECT id FROM map_items WHERE id BETWEEN ? AND ? AND NOT finished ORDER BY id"
_MEET = "INSERT OR IGNORE INTO map_runs (function) VALUES (?)"
_OWNER = "SELECT id, turn, pid, process FROM map_runs WHERE function = ?"
_TAKE = "UPDATE map_runs SET turn = ?, pid = ?, process = ? WHERE id = ?"
_RELEASE = "UPDATE map_runs SET pid = NULL WHERE id = ? AND turn = ?"


@dataclass(frozen=True, slots=True)
class Finished:
    """An item that ran to its end.

    Attributes:
        payload: The worker's JSON envelope: a result, or the error of the user's function.
    """

    payload: bytes


@dataclass(frozen=True, slots=True)
class Started:
    """An item that was in flight when an earlier run ended: it may have run.

    Attributes:
        key: Its idempotency key.
        call: Text form of the call; ``None`` when no answer to the submit came back.
    """

    key: str
    call: str | None


@dataclass(frozen=True, slots=True)
class MapCounts:
    """How many items a journal knows.

    Attributes:
        finished: Ran to their end.
        started: In flight, now or when an earlier run ended.
    """

    finished: int
    started: int


class MapRun:
    """The progress of one function's map, owned by this process until :meth:`close`.

    Made by :meth:`gpuhub.journal.Journal.open_map`. Safe for several threads. Each write is
    committed when it returns: it survives kill -9.
    """

    def __init__(self, store: Store, run: int, function: str, turn: int) -> None:
        self.function = function
        self._store = store
        self._run = run
        self._turn = turn
        self._pid = os.getpid()
        self._first = run << _INDEX_BITS
        self._last = self._first + (1 << _INDEX_BITS) - 1
        self._closed = False

    def lookup(self, index: int, digest: bytes) -> Finished | Started | None:
        """What is known of an item; ``None`` for a new one.

        Args:
            index: The item's position, from 0.
            digest: Of the item's input.

        Raises:
            JournalError: The journal belongs to other inputs.
        """
        rows = self._store.rows(_LOOKUP, self._first + index)
        if not rows:
            return None
        known, key, call, finished, payload = rows[0]
        if known != digest:
            raise JournalError(
                f"the journal {self._store.path} belongs to other inputs: item {index} of "
                f"{self.function} differs",
                next_step="map the same inputs in the same order, or name a new journal file",
            )
        return Finished(payload) if finished else Started(key, call)

    def start(self, index: int, digest: bytes, key: str) -> None:
        """Record that an item is about to be submitted, forgetting what an earlier try gave.

        Args:
            index: The item's position, from 0.
            digest: Of the item's input.
            key: The idempotency key of this try.

        Raises:
            JournalError: It was not recorded: do not submit it.
        """
        self._check_owned()
        self._store.write(_START, self._first + index, digest, key)

    def accept(self, index: int, call: str) -> None:
        """Record the text form of an item's call. Works after :meth:`close`, too."""
        self._change(index, _ACCEPT, call, self._first + index)

    def finish(self, index: int, payload: bytes) -> None:
        """Record an item's answer. Works after :meth:`close`, too.

        Args:
            index: The item's position, from 0.
            payload: The worker's JSON envelope.
        """
        self._change(index, _FINISH, payload, self._first + index)

    def reopen(self, index: int) -> None:
        """Forget an item, so that a later run takes it as new: it surely has not run."""
        self._check_owned()
        self._store.write(_REOPEN, self._first + index)

    def counts(self) -> MapCounts:
        """How many items are finished and started."""
        ((finished, known),) = self._store.rows(_COUNT, self._first, self._last) or [(0, 0)]
        return MapCounts(finished, known - finished)

    def started(self) -> list[int]:
        """Indexes of the items that are started and not finished, ascending."""
        rows = self._store.rows(_STARTED, self._first, self._last)
        return [item - self._first for (item,) in rows]

    def close(self) -> None:
        """Give up the ownership, unless a fork inherited it; closing twice is no error."""
        if not self._closed and self._pid == os.getpid():
            self._store.write(_RELEASE, self._run, self._turn)
        self._closed = True

    def _change(self, index: int, statement: str, *values: object) -> None:
        # What was in flight at the close is still worth knowing, so that is not checked here.
        if not self._store.write(statement, *values):
            raise JournalError(
                f"the journal {self._store.path} has lost item {index} of {self.function}",
                next_step="let no other process write to this file, and map again",
            )

    def _check_owned(self) -> None:
        if self._closed or self._pid != os.getpid():
            why = "was closed" if self._closed else "belongs to the process that forked this one"
            raise JournalError(
                f"the map of {self.function} in the journal {self._store.path} {why}",
                next_step="start a new map with that journal",
            )


def open_run(store: Store, function: str) -> MapRun:
    """Take the ownership of a function's map.

    Raises:
        JournalError: Another process owns it, or the file cannot be used.
    """
    this = Process.current()
    with store.transaction() as connection:
        connection.execute(_MEET, (function,))
        run, turn, pid, process = connection.execute(_OWNER, (function,)).fetchone()
        if pid is not None and (owner := Process(pid, process)).is_alive:
            whose = "this process" if owner == this else "another process"
            raise JournalError(
                f"the map of {function} in the journal {store.path} is running in {whose} "
                f"(pid {pid})",
                next_step="wait for its end, or stop it and map again; or name another journal",
            )
        connection.execute(_TAKE, (turn + 1, this.pid, this.started, run))
    return MapRun(store, run, function, turn + 1)
