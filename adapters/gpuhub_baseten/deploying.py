"""Pushing a deployment, and taking one up that was pushed before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gpuhub.adapter import Rollout
from gpuhub.errors import BadRequest, NotFound, ProviderError
from gpuhub_baseten import wire
from gpuhub_baseten.errors import document, member
from gpuhub_baseten.signing import signed_headers
from gpuhub_baseten.states import labels_of, rollout_of

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, Io
    from gpuhub.plan import Plan, Request
    from gpuhub_baseten.defaults import Defaults

__all__ = ["Deployed", "deploy", "find_environment", "find_model"]

Deployed = tuple[str, dict[str, Any]]
"""Id of a model, and its new deployment."""

_PAUSE_S = 2.0
_PATIENCE_S = 600.0


async def find_model(io: Io, name: str) -> dict[str, Any] | None:
    """Look for a model of that very name."""
    listing = document(await io.send(wire.get_models(name)))
    for model in member(listing, "models", list):
        if model.get("name") == name:
            found: dict[str, Any] = model
            return found
    return None


async def find_environment(io: Io, model: str, environment: str) -> dict[str, Any] | None:
    """Give an environment; ``None`` where there is none yet."""
    try:
        return document(await io.send(wire.get_environment(model, environment)))
    except NotFound:
        return None


async def deploy(
    io: Io, plan: Plan, previous: DeploymentRef | None, environment: str, defaults: Defaults
) -> Deployed:
    """Push, unless what is to be pushed is there. Sends no inference request.

    Raises:
        ProviderError: Baseten or the object store refused.
    """
    steps: dict[str, Any] = {"gpuhub": {"fingerprint": plan.fingerprint}}
    wanted = plan.request("deploy", steps).json["source"]["deployment"]["autoscaling_settings"]
    if previous is not None:
        model: str | None = wire.place_of(previous.address).model
    else:
        there = await find_model(io, plan.deployment)
        model = None if there is None else member(there, "id", str)
    if model is not None:
        known = await find_environment(io, model, environment)
        if (found := _already(known, plan.fingerprint)) is not None:
            await _set_limits(io, model, environment, wanted)
            return model, found
    for request in plan.requests:
        if request.step.startswith("secret-"):
            await io.send(plan.request(request.step))
    s3_key = await _upload(io, plan, model, defaults, steps)
    request = plan.request("deploy", {**steps, "prepare": {"s3_key": s3_key}})
    if model is not None:
        request = wire.add_deployment(model, request)
    answer = await _push(io, request)
    model = str(member(member(answer, "model", dict), "id", str))
    deployment: dict[str, Any] = member(answer, "deployment", dict)
    await _set_limits(io, model, environment, wanted)
    return model, deployment


def _already(environment: Mapping[str, Any] | None, fingerprint: str) -> dict[str, Any] | None:
    """Give what was pushed from the same plan, serves or is about to."""
    for which in ("current_deployment", "candidate_deployment"):
        deployment: dict[str, Any] | None = (environment or {}).get(which)
        if deployment and labels_of(deployment).get("fingerprint") == fingerprint:
            usable = rollout_of(deployment) in (Rollout.READY, Rollout.IN_PROGRESS)
            if usable:
                return deployment
    return None


async def _upload(
    io: Io, plan: Plan, model: str | None, defaults: Defaults, steps: Mapping[str, Any]
) -> str:
    """Bring the archive to Baseten's object store, and give its key there."""
    prepare = plan.request("prepare", steps)
    if model is not None:
        body = {name: value for name, value in prepare.json.items() if name != "team_id"}
        del body["name"]
        prepare = replace(prepare, json={"model_id": model, **body})
    answer = document(await io.send(prepare))
    credentials = member(answer, "creds", dict)
    region = member(answer, "s3_region", str)
    key = str(member(answer, "s3_key", str))
    base = defaults.upload_url.replace("{bucket}", member(answer, "s3_bucket", str))
    url = f"{base.replace('{region}', region).rstrip('/')}/{quote(key)}"
    headers = signed_headers("PUT", url, credentials, region, datetime.now(UTC))
    upload = replace(plan.request("upload", {"upload": {"url": url}}), headers=headers)
    try:
        await io.send(upload)
    except ProviderError as error:
        # The store quotes the whole request when its signature is wrong.
        error.reword(_without(error.message, credentials))
        raise
    return key


def _without(text: str, credentials: Mapping[str, str]) -> str:
    for value in credentials.values():
        text = text.replace(str(value), "***")
    return text


async def _push(io: Io, request: Request) -> dict[str, Any]:
    """Make the deployment; waits while another one is promoted to the same environment."""
    ends = io.now() + _PATIENCE_S
    while True:
        try:
            return document(await io.send(request))
        except BadRequest as error:
            is_busy = error.status == 409 and "promotion" in error.message.lower()
            if not is_busy or io.now() >= ends:
                raise
        await io.sleep(_PAUSE_S)


async def _set_limits(io: Io, model: str, environment: str, wanted: Mapping[str, Any]) -> None:
    """Let the environment have the limits: a promotion gives its own to the deployment."""
    known = await find_environment(io, model, environment)
    if known is None:
        return
    there = known.get("autoscaling_settings") or {}
    if any(there.get(name) != value for name, value in wanted.items()):
        await io.send(wire.patch_environment(model, environment, wanted))
