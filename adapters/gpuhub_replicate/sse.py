"""Server-sent events of a prediction. Pure.

"Streaming output" of Replicate's documentation, read 2026-11-20: ``output`` with text, ``error``
with a JSON object, ``done`` with ``{}`` or a reason. Lines that begin with a colon are comments.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Event", "EventReader"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        name: Such as ``"output"``.
        data: Its text; lines are put together with line ends between them.
        id: Its id.
    """

    name: str
    data: str
    id: str = ""


@dataclass(slots=True)
class EventReader:
    """Puts events together from chunks of any size."""

    _decoder: codecs.IncrementalDecoder = field(
        default_factory=codecs.getincrementaldecoder("utf-8")
    )
    _rest: str = ""
    _name: str = ""
    _id: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Give the events that a chunk completes."""
        *lines, self._rest = (self._rest + self._decoder.decode(chunk)).split("\n")
        for line in lines:
            if event := self._take(line.removesuffix("\r")):
                yield event

    def _take(self, line: str) -> Event | None:
        if not line:
            return self._end()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        return None

    def _end(self) -> Event | None:
        name, data = self._name, self._data
        self._name, self._data = "", []
        if not data and not name:
            return None
        return Event(name or "message", "\n".join(data), self._id)
