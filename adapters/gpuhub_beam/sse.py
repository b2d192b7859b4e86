"""Server-sent events, and what Beam's runner writes like them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Event", "EventReader"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        name: Its ``event`` line.
        id: Its ``id`` line.
        data: Its ``data`` lines.
    """

    name: str
    id: str
    data: str


@dataclass(slots=True)
class EventReader:
    """Puts events together from chunks of any size."""

    _rest: bytes = b""
    _name: str = ""
    _id: str = ""
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
        field_name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field_name == "event":
            self._name = value
        elif field_name == "id":
            self._id = value
        elif field_name == "data":
            self._data.append(value)
        return None

    def _end(self) -> Event | None:
        name, data = self._name, self._data
        self._name, self._data = "", []
        return Event(name, self._id, "\n".join(data)) if data else None
