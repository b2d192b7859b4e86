"""Making a deployment, or changing what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpuhub.errors import BadRequest, NotFound
from gpuhub.oci import Reference
from gpuhub_replicate import wire
from gpuhub_replicate.cog_cli import cog_push
from gpuhub_replicate.errors import document, member
from gpuhub_replicate.gpus import available, select
from gpuhub_replicate.looking import (
    configuration_of,
    deployment_ref,
    owner_and_name,
    release_of,
)
from gpuhub_replicate.options import read_options
from gpuhub_replicate.pushing import push
from gpuhub_replicate.translate import contents_of

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, Io
    from gpuhub.plan import Plan
    from gpuhub_replicate.defaults import Defaults

__all__ = ["deploy"]

_CHANGEABLE = ("version", "hardware", "min_instances", "max_instances")


async def deploy(io: Io, plan: Plan, owner: str, defaults: Defaults) -> DeploymentRef:
    """Make the model and the version where they are missing, then create or change.

    Raises:
        ProviderError: Replicate refused.
        DeployFailed: The image could not be built, or was refused.
    """
    steps: dict[str, Any] = {"account": {"username": owner}}
    hardware = await _hardware(io, plan)
    for request in plan.requests:
        if request.step == "model":
            await _model(io, {**plan.request("model", steps).json, "hardware": hardware})
        elif request.step in ("push", "cog"):
            version = await _version(io, plan, request.step, owner, defaults)
            steps[request.step] = {"version": version}
    body = {**plan.request("create", steps).json, "hardware": hardware}
    try:
        there = document(await io.send(wire.get_deployment(owner, body["name"])))
    except NotFound:
        create = replace(plan.request("create", steps), json=body)
        deployment = document(await io.send(create))
    else:
        deployment = await _change(io, owner, body, there)
    return replace(await deployment_ref(io, deployment), fingerprint=plan.fingerprint)


async def _hardware(io: Io, plan: Plan) -> str:
    """Give the first of the planned hardware that Replicate lists."""
    own = read_options(plan.spec.options.get("replicate", {}))
    listed = (await io.send(plan.request("hardware"))).json()
    entries = listed if isinstance(listed, list) else []
    skus = [str(each["sku"]) for each in entries if isinstance(each, dict) and "sku" in each]
    return available(select(plan.spec.gpu_choices, own.hardware), skus)


async def _model(io: Io, body: Mapping[str, Any]) -> None:
    """Make the model, unless it is there."""
    there = wire.get_model(body["owner"], body["name"])
    try:
        await io.send(there)
    except NotFound:
        try:
            await io.send(wire.create_model(body))
        except BadRequest as error:
            try:  # somebody may have been faster, or the answer to a first try was lost
                await io.send(there)
            except NotFound:
                raise error from None


async def _version(io: Io, plan: Plan, step: str, owner: str, defaults: Defaults) -> str:
    """Give the id of the function's version; it is made if need be."""
    wanted = plan.request(step, {"account": {"username": owner}}).json
    model = Reference.parse(wanted["target"]).repository
    contents = contents_of(plan.spec, plan.bundle, defaults)
    env = contents.env()
    for secret in plan.spec.secrets:
        if secret.source == "local" and secret.env in wanted["env"]:
            env[secret.env] = plan.secret_values[secret.name].get_secret_value()
    if step == "push":
        return await push(io, contents, wanted["base"], model, env, defaults)
    await io.run(cog_push, contents, env, f"{defaults.registry}/{model}")
    answer = document(await io.send(wire.get_model(*owner_and_name(model))))
    version: str = member(member(answer, "latest_version", dict), "id", str)
    return version


async def _change(
    io: Io, owner: str, body: Mapping[str, Any], there: Mapping[str, Any]
) -> dict[str, Any]:
    """Send what differs from the release that serves; nothing when nothing does.

    Raises:
        BadRequest: The deployment runs another model, which Replicate cannot change.
    """
    release = release_of(there)
    if release.get("model") not in (None, body["model"]):
        raise BadRequest(
            f"the deployment {owner}/{body['name']} runs the model {release['model']}; Replicate"
            f" cannot change it to {body['model']}",
            provider="replicate",
            accepted=False,
            next_step="delete the deployment first (`gpuhub delete`), or give the function another"
            " name",
        )
    current = {"version": release["version"], **configuration_of(there)}
    changes = {name: body[name] for name in _CHANGEABLE if body[name] != current.get(name)}
    if not changes:
        return dict(there)
    return document(await io.send(wire.patch_deployment(owner, body["name"], changes)))
