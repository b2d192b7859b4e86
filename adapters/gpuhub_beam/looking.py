"""Looking at a deployment without touching it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gpuhub_beam import wire
from gpuhub_beam.errors import document, member
from gpuhub_beam.states import endpoint_status

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, EndpointStatus, Io
    from gpuhub_beam.gateway import Gateway
    from gpuhub_beam.releases import Part

__all__ = ["calls_of", "status_of"]


async def status_of(io: Io, ref: DeploymentRef, gateway: Gateway) -> EndpointStatus:
    """Give workers, waiting calls and rollout of a version; of the serving one if it is stopped."""
    workspace = await gateway.workspace(io)
    name = await gateway.look(io, ref.name)
    release = name.find(ref.version)
    if release is None or not release.main.active:
        release = (name.serving() if ref.made_by_gpuhub else None) or release
    containers = (await io.send(wire.get_containers(workspace))).json()
    waiting = None if release is None else await calls_of(io, workspace, release.parts)
    return endpoint_status(release, containers, waiting)


async def calls_of(io: Io, workspace: str, parts: Iterable[Part]) -> int:
    """Give how many calls of some parts wait or run: a stub's newest task knows its number."""
    total = 0
    for part in parts:
        page = document(await io.send(wire.newest_task(workspace, part.stub)))
        tasks: list[dict[str, Any]] = member(page, "data", list)
        if tasks:
            total += int((tasks[0].get("stats") or {}).get("queue_depth") or 0)
    return total
