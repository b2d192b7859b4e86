"""Making an endpoint, or changing what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import Rollout
from gpuhub.errors import AuthFailed, NoCapacity, NotFound
from gpuhub_runpod import wire
from gpuhub_runpod.differences import another_attempt, changes_between
from gpuhub_runpod.errors import document, member
from gpuhub_runpod.gpus import pinned
from gpuhub_runpod.releases import version_of
from gpuhub_runpod.states import deployment_ref, rollout_of

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, Io
    from gpuhub.plan import Plan
    from gpuhub_runpod.defaults import Defaults

__all__ = ["deploy"]


async def deploy(
    io: Io, plan: Plan, previous: DeploymentRef | None, defaults: Defaults
) -> DeploymentRef:
    """Create, or send what differs. Sends no job.

    Raises:
        ProviderError: RunPod or the registry refused.
    """
    steps: dict[str, Any] = {"gpuhub": {"fingerprint": plan.fingerprint}}
    for request in plan.requests:
        if request.step in ("volumes", "registries"):
            wanted = _named(plan, request.step)
            steps[request.step] = await _ids(io, plan, request.step, wanted)
        elif request.step == "push":
            from gpuhub_runpod.pushing import push

            steps["push"] = {"image": await push(io, request.json, plan.bundle, defaults)}
    create = plan.request("create", steps)
    body: dict[str, Any] = create.json
    if "gpu" in body:
        body = {**body, "gpu": await _current_gpu(io, body["gpu"])}
    if previous is None:
        endpoint = document(await io.send(replace(create, json=body)))
    else:
        endpoint = await _change(io, previous.address, body)
    listing = document(await io.send(wire.get_releases(member(endpoint, "id", str))))
    ref = deployment_ref(endpoint, version_of(listing), fingerprint=plan.fingerprint)
    limits = {"max_workers": str(body["workers"]["max"])}
    return replace(ref, name=plan.deployment, data={**ref.data, **limits})


async def _change(io: Io, address: str, body: Mapping[str, Any]) -> dict[str, Any]:
    there = document(await io.send(wire.get_endpoint(address)))
    changes = changes_between(body, there)
    if not changes and await _has_failed(io, address, there):
        changes = another_attempt(body, there)
    if not changes:
        return there
    return document(await io.send(wire.patch_endpoint(address, changes)))


async def _has_failed(io: Io, address: str, there: Mapping[str, Any]) -> bool:
    """Whether the current version's workers do not start: deploying it again starts new ones."""
    workers = member(document(await io.send(wire.get_workers(address))), "workers", list)
    return rollout_of(there.get("workers") or {}, workers) is Rollout.FAILED


async def _current_gpu(io: Io, gpu: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the exclusions up to date; a key that may not read the catalog goes without."""
    try:
        catalog = document(await io.send(wire.get_catalog()))
    except (NotFound, AuthFailed):
        return dict(gpu)
    try:
        return pinned(gpu, member(catalog, "gpus", list))
    except ValueError as error:
        raise NoCapacity(
            f"gpu: {error}",
            provider="runpod",
            next_step="choose another GPU; `gpuhub gpus` lists the names",
        ) from None


def _named(plan: Plan, step: str) -> list[str]:
    """The names that a step has to find ids for."""
    if step == "registries":
        return [plan.spec.image.registry_secret or ""]
    names = (getattr(mount, "name", None) for mount in plan.spec.volumes.values())
    return list(dict.fromkeys(name for name in names if name))[:1]


async def _ids(io: Io, plan: Plan, step: str, names: Sequence[str]) -> dict[str, Any]:
    """Give ids by name, nested where a name has dots, as templates look them up.

    Raises:
        NotFound: RunPod has none of that name, or several.
    """
    answer = document(await io.send(plan.request(step)))
    key = "networkVolumes" if step == "volumes" else "registries"
    entries = member(answer, key, list)
    found: dict[str, Any] = {}
    for name in names:
        *parents, last = name.split(".")
        place = found
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = _id_of(entries, name, "network volume" if step == "volumes" else "registry")
    return found


def _id_of(entries: Sequence[Mapping[str, Any]], name: str, what: str) -> str:
    matching = [str(each["id"]) for each in entries if name in (each.get("name"), each.get("id"))]
    if len(matching) == 1:
        return matching[0]
    listed = ", ".join(sorted(str(each.get("name")) for each in entries)) or "none"
    how = f"{len(matching)} are called so; use an id" if matching else f"it has: {listed}"
    raise NotFound(
        f"RunPod has no {what} {name!r} to take: {how}",
        provider="runpod",
        next_step=f"make the {what} in RunPod's console, or correct the name",
    )
