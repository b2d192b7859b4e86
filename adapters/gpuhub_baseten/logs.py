"""Log lines: windows that are asked for again, put in order, each line once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import LogLine
from gpuhub_baseten import wire
from gpuhub_baseten.errors import document, member

if TYPE_CHECKING:
    from gpuhub.adapter import Io

__all__ = ["log_tail", "read_logs"]

_PAGE = 1000
_PAUSE_S = 2.0
_OVERLAP_MS = 5_000
"""Lines of several replicas reach Baseten's store in no order: so much is read once more."""
_LONGEST_MS = 7 * 86_400_000
_TAIL = 50

Key = tuple[str, str, str]


async def read_logs(
    io: Io, model: str, deployment: str, since: float | None, *, follow: bool
) -> AsyncIterator[LogLine]:
    """Yield a deployment's lines, oldest first; with ``follow`` go on.

    Args:
        io: The engine's.
        model: Whose.
        deployment: Which.
        since: Seconds since the epoch; ``None``: the last half hour.
        follow: Whether to wait for more.
    """
    seen: dict[Key, int] = {}
    start = None if since is None else int(since * 1000)
    while True:
        entries = await _window(io, model, deployment, start)
        is_full = len(entries) >= _PAGE
        fresh = [entry for entry in entries if _key(entry) not in seen]
        for entry in sorted(fresh, key=_nanoseconds):
            seen[_key(entry)] = _nanoseconds(entry) // 1_000_000
            for line in _lines(entry):
                if since is None or line.time >= since:
                    yield line
        newest = max(seen.values(), default=None)
        if is_full and newest is not None:
            # A page that brings nothing new would come again: leave its millisecond.
            start = newest if fresh else (start or newest) + 1
            continue
        if start is not None and (later := _next_window(start)) is not None:
            start = later
            continue
        if not follow:
            return
        if newest is not None:
            start = newest - _OVERLAP_MS
            seen = {key: at for key, at in seen.items() if at >= start}
        await io.sleep(_PAUSE_S)


async def log_tail(io: Io, model: str, deployment: str) -> tuple[str, ...]:
    """Give the last lines of a build or start."""
    lines = [line async for line in read_logs(io, model, deployment, None, follow=False)]
    return tuple(line.message for line in lines[-_TAIL:])


async def _window(
    io: Io, model: str, deployment: str, start: int | None
) -> list[Mapping[str, Any]]:
    window = {} if start is None else {"start_epoch_millis": start}
    if start is not None and _next_window(start) is not None:
        window["end_epoch_millis"] = start + _LONGEST_MS
    answer = document(await io.send(wire.get_logs(model, deployment, **window)))
    entries: list[Mapping[str, Any]] = member(answer, "logs", list)
    return entries


def _next_window(start: int) -> int | None:
    """Where the next window begins, when one from ``start`` to now would be too long."""
    end = start + _LONGEST_MS
    return end if end < time.time() * 1000 else None


def _key(entry: Mapping[str, Any]) -> Key:
    return (
        str(entry.get("timestamp")),
        str(entry.get("replica") or ""),
        str(entry.get("message") or ""),
    )


def _nanoseconds(entry: Mapping[str, Any]) -> int:
    return int(member(entry, "timestamp", str))


def _lines(entry: Mapping[str, Any]) -> list[LogLine]:
    """An entry may hold several lines, as a traceback does."""
    moment, replica = _nanoseconds(entry) / 1e9, str(entry.get("replica") or "")
    texts = str(entry.get("message") or "").rstrip("\n").split("\n")
    return [LogLine(moment, text, replica, "stdout" if replica else "system") for text in texts]
