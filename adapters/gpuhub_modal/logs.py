"""The log of an app, and so of its one function."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import LogLine

if TYPE_CHECKING:
    from gpuhub.adapter import Io
    from gpuhub_modal.session import Session

__all__ = ["read_logs"]

_DAYS = 35
"""Modal gives at most so much at a time (``_MAX_FETCH_RANGE`` of the SDK)."""


async def read_logs(
    io: Io, session: Session, name: str, since: float | None, *, follow: bool
) -> AsyncIterator[LogLine]:
    """Yield lines, oldest first; with ``follow`` go on with what is written.

    Args:
        io: The engine's.
        session: The client.
        name: Of the app.
        since: Seconds since the epoch; ``None``: the last 35 days.
        follow: Whether to wait for more.
    """
    now = datetime.now(UTC)
    until = now + timedelta(minutes=1)
    start = until - timedelta(days=_DAYS) if since is None else datetime.fromtimestamp(since, UTC)
    last = 0.0
    found = [entry async for entry in io.iterate(partial(session.logs, name, start, until))]
    for entry in sorted(found, key=lambda entry: entry.timestamp):
        last = max(last, entry.timestamp.timestamp())
        for line in _lines(entry):
            yield line
    if not follow:
        return
    entries = io.iterate(partial(session.logs, name, start, None))
    try:
        async for entry in entries:
            if entry.timestamp.timestamp() > last:
                for line in _lines(entry):
                    yield line
    finally:
        await entries.aclose()  # type: ignore[attr-defined]


def _lines(entry: Any) -> list[LogLine]:
    moment = entry.timestamp.timestamp()
    worker = next((each for each in entry.context_ids if each.startswith("ta-")), "")
    return [
        LogLine(moment, text, worker, entry.source)
        for text in entry.message.splitlines()
        if text.strip()
    ]
