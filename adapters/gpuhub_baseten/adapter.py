"""The seam's methods for Baseten: the order of calls, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import DeploymentRef, Rollout
from gpuhub.errors import AuthFailed, NotFound, UnsupportedSetting
from gpuhub_baseten import wire
from gpuhub_baseten.autoscaling import live_settings
from gpuhub_baseten.calls import Calls
from gpuhub_baseten.deploying import deploy, find_environment, find_model
from gpuhub_baseten.errors import document, member
from gpuhub_baseten.logs import log_tail, read_logs
from gpuhub_baseten.options import read_options
from gpuhub_baseten.releases import promote, versions_of
from gpuhub_baseten.removal import remove
from gpuhub_baseten.states import NOT_SERVING, deployment_ref, endpoint_status, labels_of
from gpuhub_baseten.translate import PROVIDER, make_plan

if TYPE_CHECKING:
    from gpuhub.adapter import (
        AdapterInfo,
        CallOptions,
        CallRef,
        CallState,
        CancelReceipt,
        EndpointStatus,
        Feature,
        Io,
        LogLine,
        Support,
        Version,
    )
    from gpuhub.bundle import Bundle
    from gpuhub.plan import Plan
    from gpuhub.scaling import Scaling
    from gpuhub.spec import FunctionSpec
    from gpuhub_baseten.defaults import Defaults

__all__ = ["BasetenAdapter"]


class BasetenAdapter:
    """Baseten as an adapter.

    Args:
        info: Facts.
        capabilities: Support of every feature.
        defaults: Settings that shape plans and requests.
    """

    def __init__(
        self, info: AdapterInfo, capabilities: Mapping[Feature, Support], defaults: Defaults
    ) -> None:
        self.info = info
        self.capabilities = capabilities
        self._defaults = defaults
        self._calls = Calls(defaults)
        self._model = wire.ModelApi(defaults)

    def plan(self, spec: FunctionSpec, bundle: Bundle) -> Plan:
        """Translate; pure."""
        return make_plan(spec, bundle, self._defaults)

    async def deploy(self, io: Io, plan: Plan, previous: DeploymentRef | None) -> DeploymentRef:
        """Push to the environment, unless that was done before."""
        own = read_options(plan.spec.options.get(PROVIDER, {}))
        environment = own.environment or self._defaults.environment
        model, deployment = await deploy(io, plan, previous, environment, self._defaults)
        place = wire.Place(model, environment)
        return self._ref(place, plan.deployment, deployment, fingerprint=plan.fingerprint)

    async def find(self, io: Io, name: str) -> DeploymentRef | None:
        """Look for a model of that name whose deployment is gpuhub's."""
        model = await find_model(io, name)
        if model is None:
            return None
        place = wire.Place(member(model, "id", str), self._defaults.environment)
        ref = await self._found(io, place, name)
        return ref if ref is not None and ref.made_by_gpuhub else None

    async def connect(self, io: Io, scheme: str, address: str) -> DeploymentRef:  # noqa: ARG002
        """Give what serves at an address, see :class:`~gpuhub_baseten.wire.Place`.

        A key that may only call models is believed that it is there.
        """
        place = wire.place_of(address)
        self._defaults.model_address(place.model)
        try:
            model = document(await io.send(wire.get_model(place.model)))
        except AuthFailed:
            return DeploymentRef(
                provider=PROVIDER, name=address, address=address, made_by_gpuhub=False
            )
        name = member(model, "name", str)
        if place.deployment:
            request = wire.get_deployment(place.model, place.deployment)
            return self._ref(place, name, document(await io.send(request)))
        ref = await self._found(io, place, name)
        if ref is None:
            raise NotFound(
                f"the model {place.model} has nothing in its environment {place.environment!r}",
                provider=PROVIDER,
                next_step="name another: baseten://MODEL/ENVIRONMENT or MODEL/deployment/ID",
            )
        return ref

    async def submit(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        """Send one call."""
        return await self._calls.submit(io, ref, payload, options)

    async def poll(self, io: Io, call: CallRef, wait_s: float) -> CallState:
        """Ask about a spawned call."""
        return await self._calls.poll(io, call, wait_s)

    def stream(
        self,
        io: Io,
        ref: DeploymentRef,
        payload: bytes,
        options: CallOptions,  # noqa: ARG002 - the budget is in ``io``
    ) -> AsyncIterator[bytes]:
        """Send one call and yield its chunks."""
        return self._calls.stream(io, ref, payload)

    async def cancel(self, io: Io, call: CallRef) -> CancelReceipt:
        """Stop a spawned call, as far as that can be done."""
        return await self._calls.cancel(io, call)

    async def status(self, io: Io, ref: DeploymentRef) -> EndpointStatus:
        """Replicas and rollout, without waking a replica."""
        place = wire.place_of(ref.address)
        if place.deployment:
            watched = document(await io.send(wire.get_deployment(place.model, place.deployment)))
            return endpoint_status(None, watched)
        environment = document(await io.send(wire.get_environment(place.model, place.environment)))
        watched = await self._watched(io, place, ref, environment)
        status = endpoint_status(environment, watched)
        if status.rollout is not Rollout.FAILED:
            return status
        return replace(status, log_tail=await log_tail(io, place.model, watched["id"]))

    async def scale(self, io: Io, ref: DeploymentRef, scaling: Scaling) -> DeploymentRef:
        """Change the limits of the environment, which gives them to its deployment."""
        place = wire.place_of(ref.address)
        settings = live_settings(scaling, ref.data.get("concurrency"))
        if place.deployment:
            await io.send(wire.patch_deployment(place.model, place.deployment, settings))
        else:
            await io.send(wire.patch_environment(place.model, place.environment, settings))
        return replace(ref, fingerprint="")

    async def logs(
        self, io: Io, ref: DeploymentRef, since: float | None, *, follow: bool
    ) -> AsyncIterator[LogLine]:
        """Log lines of the deployment, oldest first."""
        model = wire.place_of(ref.address).model
        async for line in read_logs(io, model, ref.version, since, follow=follow):
            yield line

    async def versions(self, io: Io, ref: DeploymentRef) -> Sequence[Version]:
        """All deployments of the model that could serve, newest first."""
        return await versions_of(io, wire.place_of(ref.address), ref)

    async def rollback(self, io: Io, ref: DeploymentRef, version: str) -> DeploymentRef:
        """Promote an older deployment to the environment, and wait until it serves."""
        place = wire.place_of(ref.address)
        deployment = await promote(io, place, version)
        return self._ref(place, ref.name, deployment)

    async def warm(self, io: Io, ref: DeploymentRef) -> None:
        """Start a replica."""
        await self._calls.wake(io, ref)

    async def delete(self, io: Io, ref: DeploymentRef) -> None:
        """Remove the model, or, where other environments use it, what serves in this one."""
        if not ref.made_by_gpuhub:
            raise UnsupportedSetting(
                f"the model {ref.address} was not made by gpuhub, which deletes its own only",
                fields=("delete",),
                provider=PROVIDER,
                next_step="delete it in Baseten's pages",
            )
        await remove(io, wire.place_of(ref.address), ref.name)

    def close(self) -> None:
        """Give up the calls that are held."""
        self._calls.close()

    # ------------------------------------------------------- Baseten's own; not in the seam

    async def activate(self, io: Io, ref: DeploymentRef) -> None:
        """Let a deactivated deployment take calls again."""
        await io.send(wire.activate(wire.place_of(ref.address).model, ref.version))

    async def deactivate(self, io: Io, ref: DeploymentRef) -> None:
        """Switch a deployment off: it is not found any more, and costs nothing."""
        await io.send(wire.deactivate(wire.place_of(ref.address).model, ref.version))

    async def instance_prices(self, io: Io) -> dict[str, float]:
        """Give the price of each instance type, in USD per hour."""
        listing = document(await io.send(wire.get_prices()))
        kinds = member(listing, "instance_types", list)
        return {_kind(entry): float(entry["price"]) * 60 for entry in kinds}

    async def cold_starts(self, io: Io, ref: DeploymentRef) -> dict[str, Any]:
        """Give how long the phases of starting took, as Baseten measured them."""
        model = wire.place_of(ref.address).model
        return document(await io.send(wire.get_startups(model, ref.version)))

    # ----------------------------------------------------------------------------- inside

    async def _found(self, io: Io, place: wire.Place, name: str) -> DeploymentRef | None:
        environment = await find_environment(io, place.model, place.environment)
        if environment is None:
            return None
        current = environment.get("current_deployment")
        if current is not None:
            settings = environment.get("autoscaling_settings")
            return self._ref(place, name, current, settings=settings)
        candidate = environment.get("candidate_deployment")
        if candidate is None:
            return None
        return self._ref(place, name, candidate, fingerprint=NOT_SERVING)

    async def _watched(
        self, io: Io, place: wire.Place, ref: DeploymentRef, environment: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Give the deployment that a reference is about; without one, what serves."""
        for which in ("current_deployment", "candidate_deployment"):
            deployment: dict[str, Any] | None = environment.get(which)
            if deployment and ref.version in ("", deployment.get("id")):
                return deployment
        return document(await io.send(wire.get_deployment(place.model, ref.version)))

    def _ref(
        self, place: wire.Place, name: str, deployment: Mapping[str, Any], **facts: Any
    ) -> DeploymentRef:
        is_web = labels_of(deployment).get("kind") == "web"
        url = self._model.url(place, "sync" if is_web else "predict")
        return deployment_ref(place, name, deployment, url=url, **facts)


def _kind(entry: Mapping[str, Any]) -> str:
    inner = entry.get("instance_type")
    known = inner if isinstance(inner, dict) else entry
    return str(known.get("name") or known.get("id"))
