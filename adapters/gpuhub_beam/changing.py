"""Changing what is deployed: limits, versions, the end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gpuhub.errors import NotFound, SpecError, UnsupportedSetting
from gpuhub_beam import wire
from gpuhub_beam.container import SCHEDULE, local_secret_name
from gpuhub_beam.errors import document, granted
from gpuhub_beam.limits import limits_body, stub_fields
from gpuhub_beam.looking import calls_of

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, Io
    from gpuhub.scaling import Scaling
    from gpuhub_beam.defaults import Defaults
    from gpuhub_beam.gateway import Gateway, Name
    from gpuhub_beam.releases import Part, Release
    from gpuhub_beam.schedule import Scheduler

__all__ = ["delete_all", "not_found", "not_ours", "retired", "scaled", "switched"]

_LEAST = "autoscaler.min_containers"
_BATCH = 100


async def scaled(
    io: Io, ref: DeploymentRef, scaling: Scaling, gateway: Gateway, defaults: Defaults
) -> DeploymentRef:
    """Edit the live stubs. Only a start makes the gateway read them again.

    Raises:
        SpecError: Beam has no such limits, or cannot change them in place.
        NotFound: The version is gone.
    """
    name = await gateway.look(io, ref.name)
    release = _release(name, ref.version, ref)
    _check(scaling, release)
    workspace = await gateway.workspace(io)
    for part in release.parts:
        is_main = part is release.main
        limits = limits_body(
            scaling,
            part.kind,  # type: ignore[arg-type]
            is_main=is_main,
            max_replicas=defaults.max_replicas,
        )
        await io.send(wire.patch_stub(workspace, part.stub, stub_fields(limits)))
        await _change(io, part, "start")
    return release.ref(gateway.base_url, fingerprint="")


def _check(scaling: Scaling, release: Release) -> None:
    deployed = int(release.main.env.get("GPUHUB_CONCURRENCY", scaling.concurrency))
    lacking = [
        field
        for field, is_asked in {
            "buffer_workers": scaling.buffer_workers > 0,
            "scale_up_delay": scaling.scale_up_delay is not None,
            "scale_window": scaling.scale_window is not None,
        }.items()
        if is_asked
    ]
    if lacking:
        raise SpecError(
            f"scaling: Beam has no {' and no '.join(lacking)}",
            provider="beam",
            next_step="leave them out",
        )
    if scaling.concurrency != deployed:
        raise SpecError(
            f"scaling.concurrency: Beam's containers are made for {deployed} calls at once"
            f" (asked: {scaling.concurrency})",
            provider="beam",
            next_step="change it in the decorator and deploy again",
        )


async def switched(
    io: Io, ref: DeploymentRef, version: str, gateway: Gateway, scheduler: Scheduler
) -> DeploymentRef:
    """Let another version serve: it is started before the others are stopped.

    Raises:
        NotFound: Beam does not keep that version.
        AdapterNotInstalled: It has a schedule, and grpcio is not installed.
    """
    name = await gateway.look(io, ref.name)
    release = _release(name, version, ref)
    if any(part.env.get(SCHEDULE) for part in release.parts):
        scheduler.require()
    for part in reversed(release.parts):
        if not part.active:
            await _change(io, part, "start")
            if line := part.env.get(SCHEDULE):  # a stop has ended it for good
                await scheduler.follow(io, part.stub, line, part.id)
    workspace = await gateway.workspace(io)
    for part in name.left_running(release):
        await _cancel_waiting(io, workspace, part)
        await _change(io, part, "stop")
    return release.ref(gateway.base_url)


async def retired(io: Io, ref: DeploymentRef, gateway: Gateway) -> None:
    """Stop older versions; let those run down that have calls.

    A stop ends running calls, and nobody would begin the waiting ones. A version without warm
    workers costs nothing once it is idle, and the next deploy stops it.
    """
    name = await gateway.look(io, ref.name)
    release = name.find(ref.version)
    workspace = await gateway.workspace(io)
    for part in name.left_running(release) if release else ():
        if part.kind == "schedule" or not await calls_of(io, workspace, [part]):
            await _change(io, part, "stop")
        elif (part.config.get("autoscaler") or {}).get("min_containers"):
            await io.send(wire.patch_stub(workspace, part.stub, {_LEAST: 0}))
            await _change(io, part, "start")


async def _change(io: Io, part: Part, how: str) -> None:
    """Start, stop or delete a deployment; a refusal comes with status 200."""
    answer = await io.send(wire.change_deployment(part.id, how))
    granted(answer, f"to {how} {part.kind} v{part.number} of {part.name!r}")


async def _cancel_waiting(io: Io, workspace: str, part: Part) -> None:
    """Cancel the tasks that wait in a queue: stopped, it would hold them until they expire."""
    if part.kind != "taskqueue":
        return
    while True:
        page = document(await io.send(wire.waiting_tasks(workspace, part.stub, _BATCH)))
        tasks = [str(each.get("external_id") or each.get("id")) for each in page.get("data") or ()]
        if tasks:
            await io.send(wire.stop_tasks(workspace, tasks))
        if len(tasks) < _BATCH:
            return


async def delete_all(io: Io, ref: DeploymentRef, gateway: Gateway) -> None:
    """Delete every version of a name, and the secrets stored for it.

    Raises:
        NotFound: There is none.
    """
    name = await gateway.look(io, ref.name)
    ours = [part for part in name.parts if part.is_ours]
    if not ours:
        raise not_found(ref.name, name)
    workspace = await gateway.workspace(io)
    for part in ours:
        await _cancel_waiting(io, workspace, part)
        await _change(io, part, "delete")
    for secret in sorted({secret for part in ours for secret in _stored(part)}):
        await io.send(wire.delete_secret(workspace, secret))


def _stored(part: Part) -> list[str]:
    """Give the workspace secrets that gpuhub made for a part."""
    renamed = json.loads(part.env.get("GPUHUB_SECRETS", "{}"))
    prefix = local_secret_name(part.name, "")
    return [secret for secret in renamed.values() if secret.startswith(prefix)]


def _release(name: Name, version: str, ref: DeploymentRef) -> Release:
    release = name.find(version)
    if release is None:
        listed = ", ".join(each.id for each in name.releases) or "none"
        raise NotFound(
            f"Beam keeps no version {version!r} of {ref.name!r}; it keeps: {listed}",
            provider="beam",
            next_step="choose one of those",
        )
    return release


def not_found(address: str, name: Name) -> NotFound:
    """The error for an address that leads nowhere."""
    listed = ", ".join(release.id for release in name.releases)
    kept = f"; of that name there is: {listed}" if listed else ""
    return NotFound(
        f"Beam has no active deployment {address!r}{kept}",
        provider="beam",
        next_step="write beam://name, beam://name/v3 or beam://endpoint/name/v3",
    )


def not_ours(ref: DeploymentRef) -> UnsupportedSetting:
    """The error for deleting what somebody else made."""
    return UnsupportedSetting(
        f"the deployment {ref.address} was not made by gpuhub, which deletes its own only",
        fields=("delete",),
        provider="beam",
        next_step="delete it in Beam's dashboard",
    )
