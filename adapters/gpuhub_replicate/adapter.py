"""The seam's methods for Replicate: the order of calls, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import SecretStr

from gpuhub.errors import NotFound, SpecError, UnsupportedSetting
from gpuhub_replicate import calls, removal, wire
from gpuhub_replicate.deploying import deploy
from gpuhub_replicate.errors import document, member
from gpuhub_replicate.limits import instances
from gpuhub_replicate.logs import read_logs
from gpuhub_replicate.looking import (
    connected_deployment,
    connected_model,
    deployment_ref,
    is_off,
    owner_and_name,
    status_of,
    versions_of,
)
from gpuhub_replicate.states import DEPLOYMENTS
from gpuhub_replicate.streaming import stream
from gpuhub_replicate.translate import make_plan

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
    from gpuhub_replicate.defaults import Defaults

__all__ = ["ReplicateAdapter"]


class ReplicateAdapter:
    """Replicate as an adapter.

    Args:
        info: Facts.
        capabilities: Support of every feature.
        defaults: Settings that shape plans and calls.
    """

    def __init__(
        self, info: AdapterInfo, capabilities: Mapping[Feature, Support], defaults: Defaults
    ) -> None:
        self.info = info
        self.capabilities = capabilities
        self._defaults = defaults
        self._account = ""

    def plan(self, spec: FunctionSpec, bundle: Bundle) -> Plan:
        """Translate; pure."""
        return make_plan(spec, bundle, self._defaults)

    async def deploy(self, io: Io, plan: Plan, previous: DeploymentRef | None) -> DeploymentRef:  # noqa: ARG002
        """Make what is missing, or change what differs."""
        return await deploy(io, plan, await self._owner(io), self._defaults)

    async def find(self, io: Io, name: str) -> DeploymentRef | None:
        """Look for the account's deployment of that name; one that is off counts as deleted."""
        owner = await self._owner(io)
        try:
            deployment = document(await io.send(wire.get_deployment(owner, name)))
        except NotFound:
            return None
        return None if is_off(deployment) else await deployment_ref(io, deployment)

    async def connect(self, io: Io, scheme: str, address: str) -> DeploymentRef:
        """Give a model, a version of one, or a deployment."""
        if address.startswith(DEPLOYMENTS) and address.count("/") > 1:
            return await connected_deployment(io, address.removeprefix(DEPLOYMENTS))
        if scheme == "replicate-deployment":
            return await connected_deployment(io, address)
        return await connected_model(io, address)

    async def submit(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        """Post one prediction; waits for its end as long as the options say."""
        return await calls.submit(io, ref, payload, options, self._defaults)

    async def poll(self, io: Io, call: CallRef, wait_s: float) -> CallState:  # noqa: ARG002
        """Ask about a prediction. Replicate answers at once."""
        return await calls.poll(io, call, self._defaults)

    def stream(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> AsyncIterator[bytes]:
        """Post one prediction and yield its chunks."""
        return stream(io, ref, payload, options, self._defaults)

    async def cancel(self, io: Io, call: CallRef) -> CancelReceipt:
        """Stop a prediction."""
        return await calls.cancel(io, call)

    async def status(self, io: Io, ref: DeploymentRef) -> EndpointStatus:
        """Version and limits: Replicate tells no more."""
        return await status_of(io, ref)

    async def scale(self, io: Io, ref: DeploymentRef, scaling: Scaling) -> DeploymentRef:
        """Change the limits: a new release of the same version."""
        owner, name = self._own(ref, "scale")
        _check_live(ref, scaling)
        request = wire.patch_deployment(owner, name, instances(scaling))
        return await deployment_ref(io, document(await io.send(request)))

    async def logs(
        self, io: Io, ref: DeploymentRef, since: float | None, *, follow: bool
    ) -> AsyncIterator[LogLine]:
        """Log lines of the last hour's predictions, oldest first."""
        async for line in read_logs(io, ref, since, follow=follow):
            yield line

    async def versions(self, io: Io, ref: DeploymentRef) -> Sequence[Version]:
        """All versions of the model, newest first."""
        self._own(ref, "versions")
        return await versions_of(io, ref)

    async def rollback(self, io: Io, ref: DeploymentRef, version: str) -> DeploymentRef:
        """Let an older version serve: a new release. Hardware and limits stay."""
        owner, name = self._own(ref, "rollback")
        request = wire.patch_deployment(owner, name, {"version": version})
        return await deployment_ref(io, document(await io.send(request)))

    async def warm(self, io: Io, ref: DeploymentRef) -> None:
        """Start a worker with a prediction that does not run the function, and wait for it."""
        await calls.warm(io, ref)

    async def delete(self, io: Io, ref: DeploymentRef) -> None:
        """Switch the deployment off, and remove it if Replicate lets it go already."""
        await removal.switch_off(io, *self._own(ref, "delete"))

    async def finish_deletes(self, io: Io) -> Sequence[str]:
        """Remove what was deleted before and had to wait; `gpuhub doctor` asks for it."""
        return await removal.finish(io)

    async def webhook_secret(self, io: Io) -> SecretStr:
        """Give what Replicate signs the account's webhooks with; see :func:`verify_webhook`."""
        return SecretStr(member(document(await io.send(wire.get_webhook_secret())), "key", str))

    async def _owner(self, io: Io) -> str:
        """The account of the settings, or else the token's."""
        if self._defaults.owner:
            return self._defaults.owner
        if not self._account:
            self._account = member(document(await io.send(wire.get_account())), "username", str)
        return self._account

    def _own(self, ref: DeploymentRef, use: str) -> tuple[str, str]:
        """Owner and name of a deployment that gpuhub made.

        Raises:
            UnsupportedSetting: It is none.
        """
        if ref.made_by_gpuhub and ref.address.startswith(DEPLOYMENTS):
            return owner_and_name(ref.address.removeprefix(DEPLOYMENTS))
        raise UnsupportedSetting(
            f"{ref.name!r} was not deployed by gpuhub, which changes its own deployments only",
            fields=(use,),
            provider="replicate",
            next_step="change it on replicate.com",
        )


def _check_live(ref: DeploymentRef, scaling: Scaling) -> None:
    """Refuse what is in the image, or not at Replicate at all.

    Raises:
        SpecError: Names it.
    """
    fixed = ref.data.get("concurrency", str(scaling.concurrency))
    changed = [] if fixed == str(scaling.concurrency) else ["concurrency (it is in the image)"]
    changed += [
        name
        for name in ("target_in_flight", "scale_up_delay", "scale_window")
        if getattr(scaling, name) is not None
    ]
    if scaling.buffer_workers:
        changed.append("buffer_workers")
    if changed:
        raise SpecError(
            f"scaling: a live deployment at Replicate cannot change {', '.join(changed)}",
            provider="replicate",
            next_step="change min_workers and max_workers only; deploy again for the rest",
        )
