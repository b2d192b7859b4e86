"""Worker logs as server-sent events. Pure.

"Stream serverless worker logs" of the REST v2 document, read 2026-11-20: each event has an ``id``,
a cursor that begins with its time, and ``data``: ``{"source", "line", "ts"}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gpuhub.adapter import LogLine
from gpuhub_runpod.releases import seconds_of

__all__ = ["Event", "EventReader", "rfc3339"]

_SOURCES = {"container": "stdout", "system": "system"}


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        cursor: Its id.
        line: What it says.
    """

    cursor: str
    line: LogLine


@dataclass(slots=True)
class EventReader:
    """Puts events together from chunks of any size.

    Attributes:
        worker: Whose log it is.
    """

    worker: str
    _rest: bytes = b""
    _cursor: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Give the events that a chunk completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if event := self._take(line.rstrip(b"\r").decode("utf-8", "replace")):
                yield event

    def _take(self, line: str) -> Event | None:
        if not line:
            return self._end()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self._cursor = value
        elif name == "data":
            self._data.append(value)
        return None

    def _end(self) -> Event | None:
        text, self._data = "\n".join(self._data), []
        try:
            found = json.loads(text)
            moment = seconds_of(found["ts"])
            message = str(found["line"])
        except (ValueError, KeyError, TypeError):
            return None  # a comment that keeps the connection open
        if moment is None:
            return None
        source = _SOURCES.get(str(found.get("source")), "stdout")
        cursor = self._cursor or f"{found['ts']} {message}"
        return Event(cursor, LogLine(moment, message.rstrip("\r\n"), self.worker, source))


def rfc3339(seconds: float) -> str:
    """Give seconds since the epoch as RunPod takes them."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
