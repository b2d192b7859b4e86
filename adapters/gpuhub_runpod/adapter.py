"""The seam's methods for RunPod: the order of calls, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import CallState, CancelReceipt, DeploymentRef
from gpuhub.errors import AuthFailed, NotFound, SpecError, UnsupportedSetting
from gpuhub_runpod import wire
from gpuhub_runpod.calls import Calls
from gpuhub_runpod.deploying import deploy
from gpuhub_runpod.differences import changes_between
from gpuhub_runpod.errors import document, member
from gpuhub_runpod.limits import limits_body
from gpuhub_runpod.logs import read_logs
from gpuhub_runpod.releases import earlier_settings, version_of, versions_of
from gpuhub_runpod.states import call_state, deployment_ref, endpoint_status, is_ours
from gpuhub_runpod.translate import make_plan

if TYPE_CHECKING:
    from gpuhub.adapter import (
        AdapterInfo,
        CallOptions,
        CallRef,
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
    from gpuhub_runpod.defaults import Defaults

__all__ = ["RunpodAdapter"]


class RunpodAdapter:
    """RunPod serverless as an adapter.

    Args:
        info: Facts.
        capabilities: Support of every feature.
        defaults: Settings that shape plans.
    """

    def __init__(
        self, info: AdapterInfo, capabilities: Mapping[Feature, Support], defaults: Defaults
    ) -> None:
        self.info = info
        self.capabilities = capabilities
        self._defaults = defaults
        self._calls = Calls()

    def plan(self, spec: FunctionSpec, bundle: Bundle) -> Plan:
        """Translate; pure."""
        return make_plan(spec, bundle, self._defaults)

    async def deploy(self, io: Io, plan: Plan, previous: DeploymentRef | None) -> DeploymentRef:
        """Create the endpoint, or change what differs."""
        return await deploy(io, plan, previous, self._defaults)

    async def find(self, io: Io, name: str) -> DeploymentRef | None:
        """Look for an endpoint of that name among those that gpuhub made; the oldest one."""
        found = []
        cursor = ""
        while True:
            page = document(await io.send(wire.list_endpoints(cursor)))
            found += [each for each in member(page, "endpoints", list) if is_ours(each)]
            paging = page.get("pagination") or {}
            cursor = paging.get("nextCursor") or ""
            if not (paging.get("hasNextPage") and cursor):
                break
        named = [each for each in found if each["name"].removesuffix(" -fb") == name]
        if not named:
            return None
        endpoint = min(named, key=lambda each: str(each.get("createdAt", "")))
        return deployment_ref(endpoint, await self._version(io, endpoint["id"]))

    async def connect(self, io: Io, scheme: str, address: str) -> DeploymentRef:  # noqa: ARG002
        """Give the endpoint of that id: one of the account, or one that its key may only call."""
        try:
            endpoint = document(await io.send(wire.get_endpoint(address)))
        except (NotFound, AuthFailed):
            await io.send(wire.get_health(address))
            return DeploymentRef(
                provider="runpod", name=address, address=address, made_by_gpuhub=False
            )
        ref = deployment_ref(endpoint, await self._version(io, address))
        return ref if ref.made_by_gpuhub else replace(ref, name=address)

    async def submit(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        """Send one job; waits for its end as long as the options say."""
        return await self._calls.submit(io, ref, payload, options)

    async def poll(self, io: Io, call: CallRef, wait_s: float) -> CallState:  # noqa: ARG002
        """Ask about a job. RunPod answers at once."""
        return await self._calls.poll(io, call)

    def stream(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> AsyncIterator[bytes]:
        """Send one job and yield its chunks."""
        return self._calls.stream(io, ref, payload, options)

    async def cancel(self, io: Io, call: CallRef) -> CancelReceipt:
        """Stop a job."""
        return await self._calls.cancel(io, call)

    async def retry(self, io: Io, call: CallRef) -> CallState:
        """Run a failed or timed-out job again, under the same id; RunPod alone can."""
        return call_state(call.deployment, document(await io.send(wire.retry_job(call))))

    async def purge_queue(self, io: Io, ref: DeploymentRef) -> int:
        """Drop all waiting jobs and give their number; RunPod alone can."""
        answer = document(await io.send(wire.purge_queue(ref.address)))
        removed: int = member(answer, "removed", int)
        return removed

    async def status(self, io: Io, ref: DeploymentRef) -> EndpointStatus:
        """Workers, queue and rollout, without waking a worker."""
        endpoint = document(await io.send(wire.get_endpoint(ref.address)))
        listing = document(await io.send(wire.get_workers(ref.address)))
        health = None
        if endpoint.get("type", "QUEUE") == "QUEUE":
            health = document(await io.send(wire.get_health(ref.address)))
        status = endpoint_status(ref, endpoint, listing, health)
        if status.rollout.value != "failed":
            return status
        return replace(status, log_tail=await self._log_tail(io, ref))

    async def scale(self, io: Io, ref: DeploymentRef, scaling: Scaling) -> DeploymentRef:
        """Change the limits; concurrency is the worker's, so changing it replaces workers."""
        endpoint = document(await io.send(wire.get_endpoint(ref.address)))
        changes = changes_between(_scaled(endpoint, scaling), endpoint)
        if changes:
            endpoint = document(await io.send(wire.patch_endpoint(ref.address, changes)))
        changed = deployment_ref(endpoint, await self._version(io, ref.address), fingerprint="")
        limits = {"max_workers": str(scaling.max_workers)}
        return replace(changed, name=ref.name, data={**changed.data, **limits})

    async def logs(
        self, io: Io, ref: DeploymentRef, since: float | None, *, follow: bool
    ) -> AsyncIterator[LogLine]:
        """Log lines of the workers that exist, oldest first."""
        async for line in read_logs(io, ref, since, follow=follow):
            yield line

    async def versions(self, io: Io, ref: DeploymentRef) -> Sequence[Version]:
        """All releases, newest first."""
        endpoint = document(await io.send(wire.get_endpoint(ref.address)))
        return versions_of(document(await io.send(wire.get_releases(ref.address))), endpoint)

    async def rollback(self, io: Io, ref: DeploymentRef, version: str) -> DeploymentRef:
        """Send an older release's settings again: a new release."""
        endpoint = document(await io.send(wire.get_endpoint(ref.address)))
        listing = document(await io.send(wire.get_releases(ref.address)))
        changes = changes_between(earlier_settings(listing, endpoint, version), endpoint)
        if changes:
            endpoint = document(await io.send(wire.patch_endpoint(ref.address, changes)))
        back = deployment_ref(endpoint, await self._version(io, ref.address))
        return replace(back, name=ref.name)

    async def warm(self, io: Io, ref: DeploymentRef) -> None:
        """Start a worker with a job that does not run the function, and wait for its end."""
        if not ref.made_by_gpuhub or ref.data.get("type") == "LOAD_BALANCER":
            raise UnsupportedSetting(
                f"{ref.name!r} cannot be warmed: only queue endpoints that gpuhub made know such"
                " a job",
                fields=("warm",),
                provider="runpod",
                next_step="raise min_workers for a while: `gpuhub scale`",
            )
        await self._calls.warm(io, ref)

    async def delete(self, io: Io, ref: DeploymentRef) -> None:
        """Remove the endpoint with its template: all that deploy made at RunPod."""
        if not ref.made_by_gpuhub:
            raise UnsupportedSetting(
                f"the endpoint {ref.address} was not made by gpuhub, which deletes its own only",
                fields=("delete",),
                provider="runpod",
                next_step="delete it in RunPod's console",
            )
        await io.send(wire.delete_endpoint(ref.address))

    async def _version(self, io: Io, endpoint: str) -> str:
        return version_of(document(await io.send(wire.get_releases(endpoint))))

    async def _log_tail(self, io: Io, ref: DeploymentRef) -> tuple[str, ...]:
        lines = [line.message async for line in read_logs(io, ref, None, follow=False)]
        return tuple(lines[-50:])


def _scaled(endpoint: Mapping[str, Any], scaling: Scaling) -> dict[str, Any]:
    """Give the members that the limits come to.

    Raises:
        SpecError: RunPod has no such limits.
    """
    is_web = endpoint.get("type") == "LOAD_BALANCER"
    if scaling.buffer_workers or scaling.scale_window is not None:
        raise SpecError(
            "scaling: RunPod has no buffer_workers and no scale_window",
            provider="runpod",
            next_step="leave them out",
        )
    if not is_web and None not in (scaling.target_in_flight, scaling.scale_up_delay):
        raise SpecError(
            "scaling: RunPod scales on target_in_flight or on scale_up_delay, not on both",
            provider="runpod",
            next_step="set the other one to None: scale(target_in_flight=2, scale_up_delay=None)",
        )
    wanted = limits_body(scaling, is_web=is_web)
    env = endpoint.get("env") or {}
    if env.get("GPUHUB_CONCURRENCY", str(scaling.concurrency)) != str(scaling.concurrency):
        wanted["env"] = {**env, "GPUHUB_CONCURRENCY": str(scaling.concurrency)}
    return wanted
