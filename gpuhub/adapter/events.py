"""Server-sent events: what a provider's streams are made of. Pure.

The format is the HTML standard's ("Interpreting an event stream"), but for lines that end with CR
alone. An adapter may use this, nothing asks it to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Event", "EventReader"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        name: What its ``event`` line says, such as ``"output"``.
        data: Its ``data`` lines, with line ends between them.
        id: The last ``id`` line, its own or an earlier event's; empty: there was none.
    """

    name: str
    data: str
    id: str = ""


@dataclass(slots=True)
class EventReader:
    """Puts events together from chunks of any size. One for each stream.

    Attributes:
        keep_empty: Whether to give events that have a name and no ``data`` line, too. The standard
            drops them.
    """

    keep_empty: bool = False
    _rest: bytes = field(default=b"", init=False)
    _name: str = field(default="", init=False)
    _id: str = field(default="", init=False)
    _data: list[str] = field(default_factory=list, init=False)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Give the events that a chunk completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if event := self._take(line.removesuffix(b"\r").decode("utf-8", "replace")):
                yield event

    def _take(self, line: str) -> Event | None:
        if not line:
            return self._end()
        name, _, value = line.partition(":")  # a comment has no name
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
        if data or (name and self.keep_empty):
            return Event(name or "message", "\n".join(data), self._id)
        return None
