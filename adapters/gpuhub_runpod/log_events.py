"""Worker logs as server-sent events. Pure.

"Stream serverless worker logs" of the REST v2 document, read 2026-11-20: each event has an ``id``,
a cursor that begins with its time, and ``data``: ``{"source", "line", "ts"}``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuhub.adapter import LogLine
from gpuhub_runpod.releases import seconds_of

if TYPE_CHECKING:
    from gpuhub.adapter.events import Event

__all__ = ["LogEvent", "log_event"]

_SOURCES = {"container": "stdout", "system": "system"}


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event.

    Attributes:
        cursor: Its id.
        line: What it says.
    """

    cursor: str
    line: LogLine


def log_event(event: Event, worker: str) -> LogEvent | None:
    """Read an event of a worker's log; ``None`` when it is none."""
    try:
        found = json.loads(event.data)
        moment = seconds_of(found["ts"])
        message = str(found["line"])
    except (ValueError, KeyError, TypeError):
        return None
    if moment is None:
        return None
    source = _SOURCES.get(str(found.get("source")), "stdout")
    cursor = event.id or f"{found['ts']} {message}"
    return LogEvent(cursor, LogLine(moment, message.rstrip("\r\n"), worker, source))
