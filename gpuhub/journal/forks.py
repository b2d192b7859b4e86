"""SQLite and fork: no connection may cross it.

POSIX locks are not inherited, but SQLite's own account of them, in the memory of the process, is.
A connection opened in the child would trust that account, hold no lock at all, and the parent's
last close would delete the log that the child writes to. So connections are closed just before a
fork, and both sides open them again at their next use. Comparing process ids in the child would
come too late. Programs that fork in C must call the interpreter's hooks, as Python asks of them.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import Protocol
from weakref import WeakSet

__all__ = ["forks"]


class Pausable(Protocol):
    """Something that holds a connection."""

    def pause(self) -> None:
        """Close the connection and keep others from opening it, until :meth:`resume`."""
        ...

    def resume(self) -> None:
        """Allow the connection again."""
        ...


class _Forks:
    """All stores of this process, paused while it forks.

    One for the process, since so is the hook: the interpreter keeps it for good.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._stores: WeakSet[Pausable] = WeakSet()
        self._paused: list[Pausable] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._pause, after_in_parent=self._resume, after_in_child=self._resume
            )

    def watch(self, store: Pausable) -> None:
        """Pause that store, too, for as long as it lives."""
        with self._lock:
            self._stores.add(store)

    def _pause(self) -> None:
        # Held until the fork is over, so that no store appears between.
        self._lock.acquire()
        for store in list(self._stores):
            store.pause()
            self._paused.append(store)

    def _resume(self) -> None:
        while self._paused:
            self._paused.pop().resume()
        self._lock.release()


forks = _Forks()
