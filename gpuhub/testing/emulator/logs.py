"""What workers print, line by line, with the time it was seen."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["Line", "WorkerLog"]

_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        number: 1, 2, … within the worker.
        source: ``container`` or ``system``.
        text: Without the line end.
        at: Seconds since the epoch, in whole microseconds: as exact as APIs show it, so that a
            line is found again by the time that was shown.
    """

    number: int
    source: str
    text: str
    at: float


class WorkerLog:
    """The lines of one worker.

    Args:
        path: File that the worker's processes print to.
        wall: Gives seconds since the epoch.
        is_whole: Tells whether a line is over although no end of a line came yet.
    """

    def __init__(
        self,
        path: Path,
        wall: Callable[[], float],
        is_whole: Callable[[bytes], bool] = lambda _: False,
    ) -> None:
        self.path = path
        self._wall = wall
        self._is_whole = is_whole
        self._lines: deque[Line] = deque(maxlen=_KEPT)
        self._count = 0
        self._file: IO[bytes] | None = None
        self._rest = b""

    def say(self, text: str, source: str = "system") -> None:
        """Add a line of the platform's."""
        self.collect()
        self._add(source, text)

    def collect(self) -> None:
        """Take over what the worker printed meanwhile."""
        if self._file is None:
            with contextlib.suppress(FileNotFoundError):
                self._file = self.path.open("rb")
        if self._file is None:
            return
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        if self._is_whole(self._rest):
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._add("container", line.decode("utf-8", "replace").rstrip("\r"))

    def after(self, number: int) -> list[Line]:
        """Give the lines after one number, oldest first."""
        self.collect()
        return [line for line in self._lines if line.number > number]

    def since(self, wall: float) -> list[Line]:
        """Give the lines from a moment on."""
        self.collect()
        return [line for line in self._lines if line.at >= wall]

    def last(self, count: int) -> list[Line]:
        """Give the last lines."""
        self.collect()
        return list(self._lines)[-count:] if count else []

    @property
    def count(self) -> int:
        """Number of the last line."""
        self.collect()
        return self._count

    def close(self) -> None:
        """Read what is left and close the file."""
        self.collect()
        if self._file is not None:
            self._file.close()
            self._file = None
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()

    def _add(self, source: str, text: str) -> None:
        self._count += 1
        self._lines.append(Line(self._count, source, text, round(self._wall(), 6)))
