"""Logs: one stream for each worker, read in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuhub.adapter.events import EventReader
from gpuhub.adapter.reading import rfc3339
from gpuhub.errors import NotFound, ProviderUnavailable
from gpuhub_runpod import wire
from gpuhub_runpod.errors import document, member
from gpuhub_runpod.log_events import log_event

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, Io, LogLine

__all__ = ["read_logs"]

_IDLE_S = 1.0
"""A stream without an event for so long has told all it had: RunPod never ends one."""
_PAUSE_S = 1.0


@dataclass(slots=True)
class _Seen:
    """How far one worker's log was read."""

    since: str | None
    cursors: set[str] = field(default_factory=set)


async def read_logs(
    io: Io, ref: DeploymentRef, since: float | None, *, follow: bool
) -> AsyncIterator[LogLine]:
    """Yield the lines of the workers that exist, oldest first; with ``follow`` go on.

    Args:
        io: The engine's.
        ref: The deployment.
        since: Seconds since the epoch; ``None``: what RunPod keeps, up to 5000 lines a worker.
        follow: Whether to wait for more.
    """
    start = None if since is None else rfc3339(since)
    seen: dict[str, _Seen] = {}
    while True:
        lines: list[LogLine] = []
        listing = document(await io.send(wire.get_workers(ref.address)))
        for worker in member(listing, "workers", list):
            name = _name(worker)
            lines += await _backlog(io, ref, name, seen.setdefault(name, _Seen(start)))
        for line in sorted(lines, key=lambda line: line.time):
            yield line
        if not follow:
            return
        await io.sleep(_PAUSE_S)


def _name(worker: Mapping[str, Any]) -> str:
    name: str = member(worker, "id", str)
    return name


async def _backlog(io: Io, ref: DeploymentRef, worker: str, seen: _Seen) -> list[LogLine]:
    """Read a worker's stream until nothing comes for a moment."""
    reader, found = EventReader(), []
    chunks = io.stream(wire.get_logs(ref.address, worker, seen.since, _IDLE_S))
    try:
        async for chunk in chunks:
            told = [log_event(event, worker) for event in reader.feed(chunk)]
            found += [event for event in told if event]
    except NotFound:
        pass  # it stopped meanwhile
    except ProviderUnavailable as error:
        if error.accepted is False or error.status is not None:
            raise
    finally:
        await chunks.aclose()  # type: ignore[attr-defined]
    fresh = [event for event in found if event.cursor not in seen.cursors]
    if fresh:
        newest = fresh[-1].line.time
        seen.since = rfc3339(newest)
        # The stream begins again at that moment: what belongs to it was told already.
        seen.cursors = {event.cursor for event in found if event.line.time >= newest}
    return [event.line for event in fresh]
