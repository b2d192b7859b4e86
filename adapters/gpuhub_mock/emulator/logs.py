"""The log of one deployment: what functions print, and what the mock provider does."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path

from gpuhub.adapter import LogLine

__all__ = ["LogBook"]

_KEPT = 10_000
_LOOK_S = 0.1
_FILE_LIMIT = 5_000_000


class LogBook:
    """The last lines of a deployment; safe to use from any thread.

    Args:
        wall: Gives seconds since the epoch.
        file: Where lines outlive the process; ``None``: nowhere.
    """

    def __init__(self, wall: Callable[[], float], file: Path | None = None) -> None:
        self._wall = wall
        self._file = file
        self._lines: deque[LogLine] = deque(_read(file), maxlen=_KEPT)
        self._total = len(self._lines)
        self._changed = threading.Condition()
        self._is_closed = False

    def write(self, message: str, worker: str = "", source: str = "system") -> None:
        """Add one line."""
        line = LogLine(self._wall(), message, worker, source)
        with self._changed:
            self._lines.append(line)
            self._total += 1
            if self._file is not None:
                _append(self._file, line)
            self._changed.notify_all()

    def lines(self, since: float | None = None) -> list[LogLine]:
        """Give the kept lines, oldest first; ``since`` is seconds since the epoch."""
        with self._changed:
            return [line for line in self._lines if since is None or line.time >= since]

    def tail(self, count: int = 20) -> tuple[str, ...]:
        """Give the text of the last lines."""
        with self._changed:
            return tuple(line.message for line in self._lines)[-count:]

    def follow(self, since: float | None = None) -> Iterator[LogLine]:
        """Yield the kept lines, then new ones as they come, until the log is closed."""
        with self._changed:
            seen = self._total
            kept = [line for line in self._lines if since is None or line.time >= since]
        yield from kept
        while True:
            with self._changed:
                # In slices: closing a generator does not wake a thread that waits.
                while self._total == seen and not self._is_closed:
                    if not self._changed.wait(_LOOK_S):
                        break
                fresh = self._total - seen
                new = list(self._lines)[-fresh:] if fresh else []
                seen = self._total
                is_over = self._is_closed and not new
            yield from new
            if is_over:
                return

    def close(self) -> None:
        """End every follower after the lines it has not seen yet."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


def _append(file: Path, line: LogLine) -> None:
    # A log that cannot be written must not fail the call that wrote to it.
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(json.dumps(astuple(line)) + "\n")
            if log.tell() < _FILE_LIMIT:
                return
        file.replace(file.with_suffix(".old"))


def _read(file: Path | None) -> Iterator[LogLine]:
    """Give the lines of earlier processes."""
    for part in (file.with_suffix(".old"), file) if file is not None else ():
        with contextlib.suppress(OSError, ValueError):
            for text in part.read_text("utf-8").splitlines():
                yield LogLine(*json.loads(text))
