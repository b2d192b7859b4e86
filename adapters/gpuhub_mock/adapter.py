"""The seam's methods for the mock: the order of calls, nothing else."""

# ruff: noqa: ARG002 - the seam fixes the arguments
from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from gpuhub.adapter import (
    CallOptions,
    CallRef,
    CallState,
    CancelReceipt,
    DeploymentRef,
    Phase,
)
from gpuhub.errors import NotFound
from gpuhub.plan import Retry
from gpuhub_mock import translate
from gpuhub_mock.client import ask
from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.errors import error_of
from gpuhub_mock.rows import workers_body

if TYPE_CHECKING:
    from gpuhub.adapter import (
        AdapterInfo,
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
    from gpuhub_mock.emulator import MockCloud

__all__ = ["MockAdapter"]

_POLL_S = 0.05


class MockAdapter:
    """The mock provider as an adapter.

    Where this one asks ``self.cloud``, an adapter of a real provider awaits ``io.send``: that maps
    errors, as :func:`~gpuhub_mock.client.ask` does here.

    Args:
        info: Facts, with the limits of the settings.
        capabilities: Support of every feature.
        cloud: The provider.
        owns_cloud: Whether closing the adapter stops the provider.
    """

    def __init__(
        self,
        info: AdapterInfo,
        capabilities: Mapping[Feature, Support],
        cloud: MockCloud,
        *,
        owns_cloud: bool = True,
    ) -> None:
        self.info = info
        self.capabilities = capabilities
        self.cloud = cloud
        self.clock = cloud.clock
        self._owns_cloud = owns_cloud

    def plan(self, spec: FunctionSpec, bundle: Bundle) -> Plan:
        """Translate; pure."""
        return translate.make_plan(spec, bundle)

    async def deploy(self, io: Io, plan: Plan, previous: DeploymentRef | None) -> DeploymentRef:
        """Upload the bundle, then make the deployment or its next version."""
        await ask(io, partial(self.cloud.deployments.upload, plan.bundle))
        steps = {
            "upload": {"digest": plan.bundle.digest},
            "plan": {"fingerprint": plan.fingerprint},
        }
        body = plan.request("deploy", steps).json
        return translate.deployment_ref(
            await ask(io, partial(self.cloud.deployments.deploy, body), retry=Retry.REFUSED_ONLY)
        )

    async def find(self, io: Io, name: str) -> DeploymentRef | None:
        """Look a deployment up by name."""
        answer = await ask(io, partial(self.cloud.deployments.find, name))
        return None if answer is None else translate.deployment_ref(answer)

    async def connect(self, io: Io, scheme: str, address: str) -> DeploymentRef:
        """Give the deployment of that name."""
        found = await self.find(io, address)
        if found is None:
            raise error_of(Refusal(404, "not_found", f"there is no deployment {address!r}"))
        return found

    async def submit(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        """Send one call; waits for its end as long as the options say."""
        request = partial(
            self.cloud.calls.invoke,
            ref.address,
            payload,
            options.wait_s,
            key=options.idempotency_key,
            webhook=options.webhook,
        )
        call = await ask(io, request, retry=Retry.REFUSED_ONLY)
        return translate.call_state(call)

    async def poll(self, io: Io, call: CallRef, wait_s: float) -> CallState:
        """Ask about a call; waits for its end as long as told."""
        try:
            found = await ask(io, partial(self.cloud.calls.poll, call.id, wait_s))
        except NotFound as error:
            if error.code != "expired":
                raise
            return CallState(call, Phase.EXPIRED, detail=error.message)
        if not (found.is_over or wait_s):
            await io.sleep(_POLL_S)  # else a loop over `state()` would stand still in virtual time
        return translate.call_state(found)

    async def stream(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> AsyncIterator[bytes]:
        """Send one call and yield its chunks."""
        calls = self.cloud.calls
        submit = partial(calls.submit, ref.address, payload, "stream", key=options.idempotency_key)
        call = await ask(io, submit, retry=Retry.REFUSED_ONLY)
        chunks = io.iterate(lambda: calls.read(call, options.budget_s))
        try:
            async with aclosing(chunks):  # type: ignore[type-var]
                async for chunk in chunks:
                    yield chunk
        except Refusal as refusal:
            raise error_of(refusal) from None
        finally:
            calls.abandon(call)

    async def cancel(self, io: Io, call: CallRef) -> CancelReceipt:
        """Stop a call."""
        stopped = await ask(io, partial(self.cloud.calls.cancel, call.id))
        return CancelReceipt.CONFIRMED_TERMINAL if stopped else CancelReceipt.PROVIDER_ACK

    async def status(self, io: Io, ref: DeploymentRef) -> EndpointStatus:
        """Workers, queue, rollout."""
        request = partial(self.cloud.deployments.status, ref.address, ref.version)
        return translate.status(await ask(io, request))

    async def scale(self, io: Io, ref: DeploymentRef, scaling: Scaling) -> DeploymentRef:
        """Change the limits, until the next deploy."""
        limits = workers_body(scaling)
        request = partial(self.cloud.deployments.scale, ref.address, limits)
        return translate.deployment_ref(await ask(io, request))

    async def logs(
        self, io: Io, ref: DeploymentRef, since: float | None, *, follow: bool
    ) -> AsyncIterator[LogLine]:
        """Log lines, oldest first."""
        book = await ask(io, partial(self.cloud.deployments.logs, ref.address))
        if not follow:
            for line in book.lines(since):
                yield line
            return
        lines = io.iterate(lambda: book.follow(since))
        async with aclosing(lines):  # type: ignore[type-var]
            async for line in lines:
                yield line

    async def versions(self, io: Io, ref: DeploymentRef) -> Sequence[Version]:
        """All versions, newest first."""
        answers = await ask(io, partial(self.cloud.deployments.versions, ref.address))
        return translate.versions(answers)

    async def rollback(self, io: Io, ref: DeploymentRef, version: str) -> DeploymentRef:
        """Let an older version serve."""
        request = partial(self.cloud.deployments.rollback, ref.address, version)
        return translate.deployment_ref(await ask(io, request))

    async def warm(self, io: Io, ref: DeploymentRef) -> None:
        """Start a worker and wait until it takes calls."""
        await ask(io, partial(self.cloud.deployments.warm, ref.address))
        while (wait_s := self.cloud.deployments.warm_in_s(ref.address)) > 0:
            await io.sleep(wait_s)

    async def delete(self, io: Io, ref: DeploymentRef) -> None:
        """Remove the deployment with its versions."""
        await ask(io, partial(self.cloud.deployments.delete, ref.address))

    def close(self) -> None:
        """Stop every worker, process and listener, unless others use the provider too."""
        if self._owns_cloud:
            self.cloud.stop()
