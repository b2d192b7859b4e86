"""Making a new version: image, code, volumes, secrets, stubs, deployments."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpuhub.errors import MalformedResponse, NoCapacity
from gpuhub_beam import wire
from gpuhub_beam.building import image_of
from gpuhub_beam.container import volume_names
from gpuhub_beam.errors import granted, member
from gpuhub_beam.uploading import object_of

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, Io
    from gpuhub.plan import Plan, Request
    from gpuhub_beam.gateway import Gateway
    from gpuhub_beam.schedule import Scheduler

__all__ = ["deploy"]

_log = logging.getLogger("gpuhub")


async def deploy(
    io: Io, plan: Plan, previous: DeploymentRef | None, gateway: Gateway, scheduler: Scheduler
) -> DeploymentRef:
    """Make a new version, or take one that was made but not finished. Sends no call.

    Raises:
        DeployFailed: The image's build failed.
        ProviderError: Beam or its storage refused.
        AdapterNotInstalled: A schedule is asked for, and grpcio is not installed.
    """
    if plan.spec.schedule is not None:
        scheduler.require()
    if previous is not None and previous.data.get("made") == plan.fingerprint:
        return previous  # complete and active: only older versions were left running
    steps: dict[str, Any] = {"gpuhub": {"fingerprint": plan.fingerprint}}
    steps["image"] = await image_of(io, plan)
    steps["object"] = {"objectId": await object_of(io, plan)}
    for number, name in enumerate(volume_names(plan.spec)):
        step = f"volume{number}"
        steps[step] = granted(await io.send(plan.request(step)), f"the volume {name!r}")
    await _store_secrets(io, plan, gateway)
    for request in _of(plan, "stub-"):
        sent = plan.request(request.step, steps)
        steps[request.step] = _made(plan, granted(await io.send(sent), "the stub"))
    last = ""
    for request in _of(plan, "deploy-"):
        sent = plan.request(request.step, steps)
        answer = granted(await io.send(sent), "the deployment")
        steps[request.step] = answer
        last = str(member(answer, "deploymentId", str))
        if request.step == "deploy-schedule":
            body = plan.request("schedule", steps).json
            await scheduler.follow(io, body["stubId"], body["when"], body["deploymentId"])
        if words := answer.get("warnMsg"):
            _log.warning("%s on beam: %s", plan.deployment, words)
    return await _reference(io, plan, gateway, last)


def _of(plan: Plan, prefix: str) -> list[Request]:
    return [request for request in plan.requests if request.step.startswith(prefix)]


async def _store_secrets(io: Io, plan: Plan, gateway: Gateway) -> None:
    for request in _of(plan, "secret-"):
        workspace = await gateway.workspace(io)
        sent = plan.request(request.step, {"workspace": {"external_id": workspace}})
        if (await io.send(sent)).status == 409:
            body = sent.json
            await io.send(wire.update_secret(workspace, body["name"], body["value"]))


def _made(plan: Plan, stub: dict[str, Any]) -> dict[str, Any]:
    """Look at what Beam says about a stub: it accepts GPUs that it will never have."""
    if stub.get("capacityStatus") == "none":
        cards = ", ".join(stub.get("unsupportedGpus") or ()) or "such GPUs"
        raise NoCapacity(
            f"Beam has no pool with {cards}: calls of {plan.deployment!r} would be refused",
            provider="beam",
            next_step="allow another GPU, or add a pool; hosted Beam gives more on request",
        )
    if words := stub.get("warnMsg"):
        _log.warning("%s on beam: %s", plan.deployment, words)
    return stub


async def _reference(io: Io, plan: Plan, gateway: Gateway, deployment: str) -> DeploymentRef:
    name = await gateway.look(io, plan.deployment)
    for release in name.releases:
        if release.main.id == deployment:
            ref = release.ref(gateway.base_url, fingerprint=plan.fingerprint)
            return replace(ref, data={**ref.data, "made": plan.fingerprint})
    raise MalformedResponse(
        f"Beam does not list the deployment {deployment} that it has just made",
        provider="beam",
        accepted=None,
        next_step="look at the dashboard, then deploy again",
    )
