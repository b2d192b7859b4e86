"""The log of an app: all versions of a name, both parts.

``GET /logs/{workspace}`` and its ``/stream`` (``pkg/api/v1/logs.go``, gateway 0b79dfe). A name has
an app of its own, so the app's log is the deployment's.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import LogLine
from gpuhub.adapter.events import EventReader
from gpuhub.adapter.reading import rfc3339
from gpuhub.errors import ProviderUnavailable
from gpuhub_beam import wire
from gpuhub_beam.errors import document, member

if TYPE_CHECKING:
    from gpuhub.adapter import Io

__all__ = ["read_logs"]

_PAGE = 500
_PAUSE_S = 1.0


async def read_logs(
    io: Io, workspace: str, app: str, since: float | None, *, follow: bool
) -> AsyncIterator[LogLine]:
    """Yield lines, oldest first; with ``follow`` go on with what is written.

    Args:
        io: The engine's.
        workspace: Its external id.
        app: Id of the app.
        since: Seconds since the epoch; ``None``: all that the gateway keeps.
        follow: Whether to wait for more.
    """
    start = None if since is None else rfc3339(since)
    records = await _history(io, workspace, app, start)
    last = ""
    for record in records:
        last = str(record.get("seq_num") or last)
        for line in _lines(record):
            yield line
    if not follow:
        return
    while True:
        async for event, record in _written(io, workspace, app, last):
            last = event or last
            for line in _lines(record):
                yield line
        await io.sleep(_PAUSE_S)


async def _history(io: Io, workspace: str, app: str, start: str | None) -> list[dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    page = 0
    while True:
        answer = document(await io.send(wire.get_logs(workspace, app, start, page, _PAGE)))
        records = member(answer, "logs", list)
        fresh = {_key(record): record for record in records if _key(record) not in found}
        found |= fresh
        if len(records) < _PAGE or not fresh:
            return sorted(found.values(), key=lambda record: (_moment(record), _number(record)))
        page += 1


def _key(record: Mapping[str, Any]) -> Any:
    return record.get("seq_num") or (record.get("timestamp"), record.get("message"))


def _number(record: Mapping[str, Any]) -> int:
    return int(record.get("seq_num") or 0)


async def _written(
    io: Io, workspace: str, app: str, last: str
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Yield the records of one stream; it may be cut at any time, then another goes on."""
    reader = EventReader()
    chunks = io.stream(wire.follow_logs(workspace, app, last))
    try:
        async for chunk in chunks:
            for event in reader.feed(chunk):
                if event.name == "log":
                    yield event.id, json.loads(event.data)
    except ProviderUnavailable as error:
        if error.accepted is False or error.status is not None:
            raise
    finally:
        await chunks.aclose()  # type: ignore[attr-defined]


def _lines(record: Mapping[str, Any]) -> list[LogLine]:
    source = str(record.get("stream") or "stdout")
    worker = str(record.get("container_id") or "")
    texts = str(record.get("message") or "").splitlines()
    moment = _moment(record)
    return [LogLine(moment, text, worker, source) for text in texts if text]


def _moment(record: Mapping[str, Any]) -> float:
    try:
        return datetime.fromisoformat(_micro(str(record.get("timestamp")))).timestamp()
    except ValueError:
        return 0.0


def _micro(text: str) -> str:
    """Cut Go's nanoseconds: Python reads microseconds."""
    head, point, tail = text.partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}{point}{tail[: min(digits, 6)].ljust(6, '0')}{tail[digits:]}" if point else text
