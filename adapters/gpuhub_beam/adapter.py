"""The seam's methods for Beam: the order of calls, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gpuhub_beam import wire
from gpuhub_beam.calls import Calls
from gpuhub_beam.changing import delete_all, not_found, not_ours, retired, scaled, switched
from gpuhub_beam.deploying import deploy
from gpuhub_beam.gateway import Gateway
from gpuhub_beam.logs import read_logs
from gpuhub_beam.looking import status_of
from gpuhub_beam.releases import CHANGED
from gpuhub_beam.translate import make_plan

if TYPE_CHECKING:
    from gpuhub.adapter import (
        AdapterInfo,
        CallOptions,
        CallRef,
        CallState,
        CancelReceipt,
        DeploymentRef,
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
    from gpuhub_beam.defaults import Defaults
    from gpuhub_beam.schedule import Scheduler

__all__ = ["BeamAdapter"]


class BeamAdapter:
    """Beam, or a self-hosted beta9, as an adapter.

    Args:
        info: Facts.
        capabilities: Support of every feature.
        defaults: Settings that shape plans.
        gateway: Which gateway and workspace.
        scheduler: Makes schedules there.
    """

    def __init__(
        self,
        info: AdapterInfo,
        capabilities: Mapping[Feature, Support],
        defaults: Defaults,
        gateway: Gateway,
        scheduler: Scheduler,
    ) -> None:
        self.info = info
        self.capabilities = capabilities
        self._defaults = defaults
        self._gateway = gateway
        self._scheduler = scheduler
        self._calls = Calls(gateway)

    def plan(self, spec: FunctionSpec, bundle: Bundle) -> Plan:
        """Translate; pure."""
        return make_plan(spec, bundle, self._defaults)

    async def deploy(self, io: Io, plan: Plan, previous: DeploymentRef | None) -> DeploymentRef:
        """Make a new version. The one before goes on until :meth:`retire`."""
        return await deploy(io, plan, previous, self._gateway, self._scheduler)

    async def retire(self, io: Io, ref: DeploymentRef) -> None:
        """Stop all other versions of gpuhub's: Beam would run and bill them on."""
        await retired(io, ref, self._gateway)

    async def find(self, io: Io, name: str) -> DeploymentRef | None:
        """Look for the active version that gpuhub made."""
        found = await self._gateway.look(io, name)
        serving = found.serving()
        if serving is None:
            return None
        ref = serving.ref(self._gateway.base_url)
        if not found.left_running(serving):
            return ref
        # The next deploy is no no-op: it stops what an earlier one left running.
        return replace(ref, fingerprint=CHANGED, data={**ref.data, "made": ref.fingerprint})

    async def connect(self, io: Io, scheme: str, address: str) -> DeploymentRef:  # noqa: ARG002
        """Give a deployment by ``name``, ``name/v3``, ``kind/name`` or ``kind/name/v3``."""
        name, version = _split(address)
        found = await self._gateway.look(io, name)
        release = found.find(version) if version else found.newest_active(_kind(address))
        if release is None:
            raise not_found(address, found)
        ref = release.ref(self._gateway.base_url)
        if version:
            return replace(ref, address=address)
        return ref if ref.made_by_gpuhub else replace(ref, address=address)

    async def submit(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        """Send one call: a request where its end is waited for, else a task."""
        return await self._calls.submit(io, ref, payload, options)

    async def poll(self, io: Io, call: CallRef, wait_s: float) -> CallState:
        """Ask about a task; may wait for its end."""
        return await self._calls.poll(io, call, wait_s)

    def stream(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> AsyncIterator[bytes]:
        """Send one call and yield its chunks."""
        return self._calls.stream(io, ref, payload, options)

    async def cancel(self, io: Io, call: CallRef) -> CancelReceipt:
        """Stop a task."""
        return await self._calls.cancel(io, call)

    async def status(self, io: Io, ref: DeploymentRef) -> EndpointStatus:
        """Containers, waiting calls and rollout, without starting a container."""
        return await status_of(io, ref, self._gateway)

    async def scale(self, io: Io, ref: DeploymentRef, scaling: Scaling) -> DeploymentRef:
        """Edit the live stubs and have the gateway read them again."""
        return await scaled(io, ref, scaling, self._gateway, self._defaults)

    async def logs(
        self, io: Io, ref: DeploymentRef, since: float | None, *, follow: bool
    ) -> AsyncIterator[LogLine]:
        """The log of all versions, oldest line first."""
        workspace = await self._gateway.workspace(io)
        async for line in read_logs(io, workspace, ref.data["app"], since, follow=follow):
            yield line

    async def versions(self, io: Io, ref: DeploymentRef) -> Sequence[Version]:
        """All versions, newest first."""
        found = await self._gateway.look(io, ref.name)
        releases = found.ours if ref.made_by_gpuhub else found.releases
        serving = found.serving() if ref.made_by_gpuhub else found.newest_active()
        return [release.version(serving) for release in releases]

    async def rollback(self, io: Io, ref: DeploymentRef, version: str) -> DeploymentRef:
        """Start an older version, then stop the others."""
        return await switched(io, ref, version, self._gateway, self._scheduler)

    async def warm(self, io: Io, ref: DeploymentRef) -> None:
        """Start a container of the part that takes waiting calls."""
        await io.send(wire.warm_up(ref.data["path"]))

    async def delete(self, io: Io, ref: DeploymentRef) -> None:
        """Delete every version with what was stored for it."""
        if not ref.made_by_gpuhub:
            raise not_ours(ref)
        await delete_all(io, ref, self._gateway)


def _split(address: str) -> tuple[str, str]:
    """Give name and version of an address; the version keeps the kind."""
    parts = address.strip("/").split("/")
    kind = parts.pop(0) if _kind(address) else ""
    name, version = parts[0], parts[1] if len(parts) > 1 else ""
    return name, f"{kind}-{version}" if kind and version else version


def _kind(address: str) -> str:
    head, slash, rest = address.strip("/").partition("/")
    known = head in ("endpoint", "asgi", "taskqueue", "function")
    return head if known and slash and rest else ""
