"""Deployments and models as the seam sees them: finding, connecting, status, versions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import DeploymentRef, EndpointStatus, Rollout, Version
from gpuhub.errors import NotFound
from gpuhub_replicate import wire
from gpuhub_replicate.errors import document, malformed, member
from gpuhub_replicate.limits import live_limits
from gpuhub_replicate.schema import facts_of, input_schema, is_ours
from gpuhub_replicate.states import DEPLOYMENTS, seconds_of
from gpuhub_replicate.targets import BARE

if TYPE_CHECKING:
    from gpuhub.adapter import Io

__all__ = [
    "configuration_of",
    "connected_deployment",
    "connected_model",
    "deployment_ref",
    "is_off",
    "owner_and_name",
    "release_of",
    "schema_of",
    "status_of",
    "versions_of",
]

_KEPT_FACTS = ("target", "kind", "concurrency", "timeout")


def owner_and_name(address: str) -> tuple[str, str]:
    """Give the two halves of ``owner/name``.

    Raises:
        NotFound: It is none, so Replicate has nothing of that name.
    """
    owner, slash, name = address.partition("/")
    if not (owner and slash and name) or "/" in name:
        raise NotFound(
            f"Replicate has nothing called {address!r}: its names are owner/name",
            provider="replicate",
            accepted=False,
            next_step="connect to replicate://owner/model, replicate://owner/model:version or"
            " replicate-deployment://owner/deployment",
        )
    return owner, name


def release_of(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """Give what serves now."""
    release: dict[str, Any] = member(deployment, "current_release", dict)
    member(release, "version", str)
    return release


def configuration_of(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """Give hardware and limits."""
    found: dict[str, Any] = member(release_of(deployment), "configuration", dict)
    return found


def is_off(deployment: Mapping[str, Any]) -> bool:
    """Whether it has no instances at all: deleted, as far as gpuhub goes."""
    return configuration_of(deployment).get("max_instances") == 0


async def schema_of(io: Io, model: str, version: str) -> dict[str, Any]:
    """Give a version's OpenAPI document; empty when it cannot be read."""
    owner, name = owner_and_name(model)
    try:
        answer = document(await io.send(wire.get_version(owner, name, version)))
    except NotFound:
        return {}
    found = answer.get("openapi_schema")
    return found if isinstance(found, dict) else {}


async def deployment_ref(
    io: Io, deployment: Mapping[str, Any], schema: Mapping[str, Any] | None = None
) -> DeploymentRef:
    """Give the identity of a deployment that gpuhub made.

    Args:
        io: The engine's.
        deployment: Replicate's description.
        schema: Of its version; ``None``: asked for.
    """
    release = release_of(deployment)
    owner, name = member(deployment, "owner", str), member(deployment, "name", str)
    if schema is None:
        schema = await schema_of(io, member(release, "model", str), release["version"])
    facts = facts_of(schema)
    data = {name: facts[name] for name in _KEPT_FACTS if name in facts}
    data["model"] = str(release["model"])
    if not is_ours(schema):
        data |= {"wire": BARE, **_inputs(schema)}
    return DeploymentRef(
        provider="replicate",
        name=name,
        address=f"{DEPLOYMENTS}{owner}/{name}",
        version=release["version"],
        revision=str(release.get("number", "")),
        data=data,
    )


async def connected_deployment(io: Io, address: str) -> DeploymentRef:
    """Give a deployment by ``owner/name``, made by gpuhub or not."""
    owner, name = owner_and_name(address)
    deployment = document(await io.send(wire.get_deployment(owner, name)))
    release = release_of(deployment)
    schema = await schema_of(io, member(release, "model", str), release["version"])
    if is_ours(schema):
        return await deployment_ref(io, deployment, schema)
    return DeploymentRef(
        provider="replicate",
        name=f"{owner}/{name}",
        address=f"{owner}/{name}",
        version=release["version"],
        scheme="replicate-deployment",
        made_by_gpuhub=False,
        data={"wire": BARE, **_inputs(schema)},
    )


async def connected_model(io: Io, address: str) -> DeploymentRef:
    """Give a model by ``owner/name`` or ``owner/name:version``.

    Official models run without a version; of others the latest one is taken, and kept.
    """
    name, colon, version = address.partition(":")
    owner, model = owner_and_name(name)
    if colon:
        answer = document(await io.send(wire.get_version(owner, model, version)))
        return _model_ref(address, "version", answer)
    answer = document(await io.send(wire.get_model(owner, model)))
    latest = answer.get("latest_version")
    latest = latest if isinstance(latest, dict) else {}
    is_official = answer.get("is_official")
    route = "model" if is_official or not latest.get("id") else "version"
    return _model_ref(address, route, latest)


def _model_ref(address: str, route: str, version: Mapping[str, Any]) -> DeploymentRef:
    schema = version.get("openapi_schema")
    schema = schema if isinstance(schema, dict) else {}
    ours = is_ours(schema)
    number = str(version.get("id") or "")
    if route == "version" and not number:
        raise malformed(f"the version of {address} has no id")
    data = {"route": route, "version": number, **facts_of(schema)}
    if not ours:
        data |= {"wire": BARE, **_inputs(schema)}
    return DeploymentRef(
        provider="replicate",
        name=address,
        address=address,
        version=number,
        made_by_gpuhub=ours,
        data=data,
    )


def _inputs(schema: Mapping[str, Any]) -> dict[str, str]:
    found = input_schema(schema)
    return {"schema": json.dumps(found, sort_keys=True)} if found else {}


async def status_of(io: Io, ref: DeploymentRef) -> EndpointStatus:
    """Say what Replicate tells: version and limits, no workers and no queue."""
    address = ref.address.removeprefix(DEPLOYMENTS)
    if not (ref.address.startswith(DEPLOYMENTS) or ref.scheme == "replicate-deployment"):
        owner, name = owner_and_name(address.partition(":")[0])
        document(await io.send(wire.get_model(owner, name)))
        return EndpointStatus(rollout=Rollout.READY, version=ref.version, detail=_SHARED)
    deployment = document(await io.send(wire.get_deployment(*owner_and_name(address))))
    configuration = configuration_of(deployment)
    off = is_off(deployment)
    return EndpointStatus(
        rollout=Rollout.STOPPED if off else Rollout.READY,
        version=release_of(deployment)["version"],
        scaling=live_limits(configuration),
        detail=_OFF if off else f"{configuration.get('hardware')}; {_SILENT}",
    )


_SHARED = "a model of Replicate's: it scales by itself"
_OFF = "switched off: max_instances is 0; a deploy switches it on again"
_SILENT = "Replicate tells no instances and no queue: a call is the only probe (`gpuhub warm`)"


async def versions_of(io: Io, ref: DeploymentRef) -> list[Version]:
    """Give all versions of the model that a deployment runs, newest first."""
    address = ref.address.removeprefix(DEPLOYMENTS)
    deployment = document(await io.send(wire.get_deployment(*owner_and_name(address))))
    release = release_of(deployment)
    owner, name = owner_and_name(member(release, "model", str))
    found: list[Version] = []
    request = wire.list_versions(owner, name)
    while True:
        page = document(await io.send(request))
        for each in member(page, "results", list):
            number = member(each, "id", str)
            found.append(
                Version(
                    number,
                    created_at=seconds_of(each.get("created_at")),
                    current=number == release["version"],
                    detail=facts_of(each.get("openapi_schema")).get("target", ""),
                )
            )
        if not page.get("next"):
            return found
        request = wire.next_page(str(page["next"]))
