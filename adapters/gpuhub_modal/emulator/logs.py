"""What containers print, line by line, with the time it was seen."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

__all__ = ["ContainerLog", "Line", "Source"]

Source = Literal["stdout", "stderr", "info"]

_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        source: Who wrote it; ``info`` is the platform.
        text: With the line end.
        at: Seconds since the epoch.
        task_id: Of the container.
        function_id: Of its function.
    """

    source: Source
    text: str
    at: float
    task_id: str
    function_id: str


class ContainerLog:
    """The lines of one container.

    Args:
        folder: Its processes print to ``stdout`` and ``stderr`` there.
        task_id: Of the container.
        function_id: Of its function.
        wall: Gives seconds since the epoch.
    """

    def __init__(
        self, folder: Path, task_id: str, function_id: str, wall: Callable[[], float]
    ) -> None:
        self.folder = folder
        self.lines: deque[Line] = deque(maxlen=_KEPT)
        self._ids = (task_id, function_id)
        self._wall = wall
        self._files: dict[Source, IO[bytes]] = {}
        self._rests: dict[Source, bytes] = {}
        self._is_closed = False

    def path(self, source: Source) -> Path:
        """Give the file of a stream."""
        return self.folder / source

    def say(self, text: str) -> None:
        """Add a line of the platform's."""
        self.collect()
        self._add("info", text)

    def collect(self) -> None:
        """Take over what the container printed meanwhile."""
        if self._is_closed:
            return
        for source in ("stdout", "stderr"):
            self._collect(source)

    def close(self) -> None:
        """Read what is left and close the files."""
        self.collect()
        self._is_closed = True
        for source, rest in self._rests.items():
            if rest:
                self._add(source, rest.decode("utf-8", "replace"))
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _collect(self, source: Source) -> None:
        if source not in self._files:
            with contextlib.suppress(FileNotFoundError):
                self._files[source] = self.path(source).open("rb")
        if (file := self._files.get(source)) is None:
            return
        new = file.read()
        if not new:
            return
        ago_s = max(0.0, time.time() - os.fstat(file.fileno()).st_mtime)  # since it was written
        *lines, rest = (self._rests.get(source, b"") + new).split(b"\n")
        self._rests[source] = rest
        for line in lines:
            self._add(source, line.decode("utf-8", "replace"), ago_s)

    def _add(self, source: Source, text: str, ago_s: float = 0.0) -> None:
        self.lines.append(Line(source, f"{text}\n", self._wall() - ago_s, *self._ids))
