"""The journal as the engine sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from typing_extensions import override

from gpuhub.journal.calls import Calls, prune_calls
from gpuhub.journal.deployments import Deployments
from gpuhub.journal.map_runs import MapRun, open_run
from gpuhub.journal.store import Store

__all__ = ["Journal"]


class Journal(Deployments, Calls):
    """A journal file: deployments, calls in flight, progress of maps.

    Opened at first use, and again after :meth:`close` or a fork. Safe for several threads, and
    for several processes at once. The file is readable by its user alone; it holds what callers
    give, so they give no secrets.

    Args:
        path: The file. It is made, with its folder, when something is first written.
        now: Seconds since 1970, as ``time.time`` gives them.

    Every method raises :class:`~gpuhub.errors.JournalError` when the file cannot be used: a full
    disk, a locked, damaged or newer file. The caller has not sent anything by then.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._store = Store(path, partial(prune_calls, now))

    @property
    def path(self) -> Path:
        """The file."""
        return self._store.path

    def open_map(self, *, function: str) -> MapRun:
        """The progress of a function's map, for this process alone.

        The ownership of a process that has died is taken over.

        Args:
            function: Name of the deployment that is mapped over.

        Raises:
            JournalError: A living process owns it, or the file cannot be used.
        """
        return open_run(self._store, function)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._store.close()

    @override
    def __repr__(self) -> str:
        """Name the file."""
        return f"Journal({str(self.path)!r})"
