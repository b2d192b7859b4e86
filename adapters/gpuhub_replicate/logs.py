"""Logs: Replicate keeps them by prediction, for one hour.

"List predictions" and ``logs`` of "Get a prediction", read 2026-11-20: the list comes without
the logs, and no line has a time of its own, so that all of a prediction have its start's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import LogLine
from gpuhub.errors import NotFound
from gpuhub_replicate import wire
from gpuhub_replicate.errors import document, member
from gpuhub_replicate.states import DEPLOYMENTS, seconds_of

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, Io

__all__ = ["read_logs"]

_PAUSE_S = 1.0
_PAGES = 10
_ENDED = ("succeeded", "failed", "canceled", "aborted")


@dataclass(slots=True)
class _Told:
    """How many lines of each prediction were told, and which of them have ended."""

    lines: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)


async def read_logs(
    io: Io, ref: DeploymentRef, since: float | None, *, follow: bool
) -> AsyncIterator[LogLine]:
    """Yield the lines of a deployment's predictions, oldest first; with ``follow`` go on.

    Args:
        io: The engine's.
        ref: The deployment.
        since: Seconds since the epoch; ``None``: what Replicate keeps, up to 1000 predictions.
        follow: Whether to wait for more.
    """
    told = _Told()
    while True:
        for line in await _fresh(io, ref, since, told):
            yield line
        if not follow:
            return
        await io.sleep(_PAUSE_S)


async def _fresh(io: Io, ref: DeploymentRef, since: float | None, told: _Told) -> list[LogLine]:
    found = []
    for listed in await _listed(io, ref, since):
        name = member(listed, "id", str)
        if name in told.ended:
            continue
        prediction = listed if listed.get("logs") is not None else await _whole(io, name)
        lines = _lines(prediction)
        found += lines[told.lines.get(name, 0) :]
        told.lines[name] = len(lines)
        if prediction.get("status") in _ENDED:
            told.ended.add(name)
    return sorted(
        (line for line in found if since is None or line.time >= since), key=lambda line: line.time
    )


async def _listed(io: Io, ref: DeploymentRef, since: float | None) -> list[dict[str, Any]]:
    """Give the deployment's predictions, oldest first."""
    found: list[dict[str, Any]] = []
    request = wire.list_predictions()
    for _ in range(_PAGES):
        page = document(await io.send(request))
        entries = member(page, "results", list)
        found += [each for each in entries if _belongs(each, ref)]
        oldest = seconds_of(entries[-1].get("created_at")) if entries else None
        if not page.get("next") or (since is not None and oldest is not None and oldest < since):
            break
        request = wire.next_page(str(page["next"]))
    return found[::-1]


def _belongs(prediction: Mapping[str, Any], ref: DeploymentRef) -> bool:
    deployment = prediction.get("deployment")
    if deployment:
        return bool(deployment == ref.address.removeprefix(DEPLOYMENTS))
    return bool(prediction.get("model") == ref.data.get("model"))


async def _whole(io: Io, name: str) -> dict[str, Any]:
    try:
        return document(await io.send(wire.get_prediction(name)))
    except NotFound:
        return {}


def _lines(prediction: Mapping[str, Any]) -> list[LogLine]:
    started = seconds_of(prediction.get("started_at") or prediction.get("created_at")) or 0.0
    text = prediction.get("logs") or ""
    return [LogLine(started, line) for line in str(text).split("\n") if line]
