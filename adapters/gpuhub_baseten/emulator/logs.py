"""Lines of a deployment's log: what the platform says, and what replicas print."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

__all__ = ["DeploymentLog", "Line", "ReplicaOutput"]

_KEPT = 20_000
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        nanoseconds: Since the epoch; never the same twice in one log.
        message: Without the line end.
        replica: Short id of who printed it; ``None`` for the platform.
        level: ``DEBUG`` … ``ERROR``, if one was seen in it.
        request_id: Of which request, if it was said.
    """

    nanoseconds: int
    message: str
    replica: str | None = None
    level: str | None = None
    request_id: str | None = None

    def shown(self) -> dict[str, Any]:
        """Give ``LogV1``."""
        return {
            "timestamp": str(self.nanoseconds),
            "message": self.message,
            "replica": self.replica,
            "request_id": self.request_id,
            "level": self.level,
        }


class DeploymentLog:
    """The lines of one deployment.

    Args:
        wall: Gives seconds since the epoch.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._lines: deque[Line] = deque(maxlen=_KEPT)
        self._outputs: list[ReplicaOutput] = []
        self._last = 0

    def say(self, message: str, level: str | None = "INFO", replica: str | None = None) -> None:
        """Add a line of the platform's."""
        self.collect()
        self._add(message, replica, level, None)

    def follow(self, output: ReplicaOutput) -> None:
        """Take over what a replica prints from now on."""
        self._outputs.append(output)

    def leave(self, output: ReplicaOutput) -> None:
        """Take over the last lines of a replica that is gone."""
        self.collect()
        if output in self._outputs:
            self._outputs.remove(output)
        output.close()

    def collect(self) -> None:
        """Take over what replicas printed meanwhile."""
        for output in self._outputs:
            for text in output.new_lines():
                message, level, request_id = _read(text)
                self._add(message, output.replica, level, request_id)

    def lines(self) -> list[Line]:
        """Give all lines, oldest first."""
        self.collect()
        return list(self._lines)

    def _add(
        self, message: str, replica: str | None, level: str | None, request_id: str | None
    ) -> None:
        self._last = max(self._last + 1, int(self._wall() * 1e9))
        self._lines.append(Line(self._last, message, replica, level, request_id))


class ReplicaOutput:
    """What one replica prints.

    Args:
        path: File that its processes print to.
        replica: Its short id.
    """

    def __init__(self, path: Path, replica: str) -> None:
        self.path = path
        self.replica = replica
        self._file: IO[bytes] | None = None
        self._rest = b""

    def new_lines(self) -> list[str]:
        """Give what was printed since the last time."""
        if self._file is None:
            with contextlib.suppress(FileNotFoundError):
                self._file = self.path.open("rb")
        if self._file is None:
            return []
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [line.decode("utf-8", "replace").rstrip("\r") for line in lines]

    def close(self) -> None:
        """Forget the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()


def _read(text: str) -> tuple[str, str | None, str | None]:
    """Read a line: the server writes JSON, other code what it likes."""
    if text.startswith("{"):
        with contextlib.suppress(ValueError):
            document = json.loads(text)
            if isinstance(document, dict) and isinstance(document.get("message"), str):
                level = str(document.get("levelname", document.get("level", ""))).upper()
                request_id = document.get("request_id")
                known = level if level in _LEVELS else None
                return document["message"], known, request_id
    return text, None, None
