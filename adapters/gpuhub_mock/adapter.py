"""The seam's methods for the mock: the order of calls, nothing else."""

# ruff: noqa: ARG002 - the seam fixes the arguments
from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from gpuhub.adapter import (
    CallOptions,
    CallRef,
    CallState,
    CancelReceipt,
    DeploymentRef,
    Phase,
)
from gpuhub.errors import NotFound
from gpuhub_mock import translate
from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.errors import error_of

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

T = TypeVar("T")
P = ParamSpec("P")

_POLL_S = 0.05


class MockAdapter:
    """The mock provider as an adapter.

    Where this one calls ``self.cloud``, an adapter of a real provider awaits ``io.send``.

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
        await _ask(io, self.cloud.deployments.upload, plan.bundle)
        steps = {
            "upload": {"digest": plan.bundle.digest},
            "plan": {"fingerprint": plan.fingerprint},
        }
        request = plan.request("deploy", steps)
        answer = await _ask(io, self.cloud.deployments.deploy, request.json)
        return translate.deployment_ref(answer)

    async def find(self, io: Io, name: str) -> DeploymentRef | None:
        """Look a deployment up by name."""
        answer = await _ask(io, self.cloud.deployments.find, name)
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
        call = _asked(
            self.cloud.calls.submit,
            ref.address,
            payload,
            "wait" if options.wait_s else "spawn",
            key=options.idempotency_key,
            webhook=options.webhook,
        )
        if options.wait_s:
            call = await _ask(io, self.cloud.calls.wait, call, options.wait_s)
        return translate.call_state(call)

    async def poll(self, io: Io, call: CallRef, wait_s: float) -> CallState:
        """Ask about a call; waits for its end as long as told."""
        try:
            found = _asked(self.cloud.calls.find, call.id)
        except NotFound as error:
            if error.code != "expired":
                raise
            return CallState(call, Phase.EXPIRED, detail=error.message)
        if not found.is_over and wait_s:
            found = await _ask(io, self.cloud.calls.wait, found, wait_s)
        elif not found.is_over:
            await io.sleep(_POLL_S)
        return translate.call_state(found)

    async def stream(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> AsyncIterator[bytes]:
        """Send one call and yield its chunks."""
        calls = self.cloud.calls
        key, budget_s = options.idempotency_key, options.budget_s
        call = _asked(calls.submit, ref.address, payload, "stream", key=key)
        try:
            chunks = io.iterate(lambda: calls.read(call, budget_s))
            async with aclosing(chunks):  # type: ignore[type-var]
                async for chunk in chunks:
                    yield chunk
        except Refusal as refusal:
            raise error_of(refusal) from None
        finally:
            calls.abandon(call)

    async def cancel(self, io: Io, call: CallRef) -> CancelReceipt:
        """Stop a call."""
        stopped = await _ask(io, self.cloud.calls.cancel, call.id)
        return CancelReceipt.CONFIRMED_TERMINAL if stopped else CancelReceipt.PROVIDER_ACK

    async def status(self, io: Io, ref: DeploymentRef) -> EndpointStatus:
        """Workers, queue, rollout."""
        return translate.status(
            await _ask(io, self.cloud.deployments.status, ref.address, ref.version)
        )

    async def scale(self, io: Io, ref: DeploymentRef, scaling: Scaling) -> DeploymentRef:
        """Change the limits, until the next deploy."""
        limits = translate.workers_body(scaling)
        return translate.deployment_ref(
            await _ask(io, self.cloud.deployments.scale, ref.address, limits)
        )

    async def logs(
        self, io: Io, ref: DeploymentRef, since: float | None, *, follow: bool
    ) -> AsyncIterator[LogLine]:
        """Log lines, oldest first."""
        if not follow:
            for line in await _ask(io, self.cloud.deployments.logs, ref.address, since):
                yield line
            return
        make = self.cloud.deployments.follow_logs
        try:
            lines = io.iterate(lambda: make(ref.address, since))
            async with aclosing(lines):  # type: ignore[type-var]
                async for line in lines:
                    yield line
        except Refusal as refusal:
            raise error_of(refusal) from None

    async def versions(self, io: Io, ref: DeploymentRef) -> Sequence[Version]:
        """All versions, newest first."""
        return translate.versions(await _ask(io, self.cloud.deployments.versions, ref.address))

    async def rollback(self, io: Io, ref: DeploymentRef, version: str) -> DeploymentRef:
        """Let an older version serve."""
        answer = await _ask(io, self.cloud.deployments.rollback, ref.address, version)
        return translate.deployment_ref(answer)

    async def warm(self, io: Io, ref: DeploymentRef) -> None:
        """Start a worker and wait until it takes calls."""
        await _ask(io, self.cloud.deployments.warm, ref.address)
        while (wait_s := await _ask(io, self.cloud.deployments.warm_in_s, ref.address)) > 0:
            await io.sleep(wait_s)

    async def delete(self, io: Io, ref: DeploymentRef) -> None:
        """Remove the deployment with its versions."""
        await _ask(io, self.cloud.deployments.delete, ref.address)

    def close(self) -> None:
        """Stop every worker, process and listener, unless others use the provider too."""
        if self._owns_cloud:
            self.cloud.stop()


async def _ask(io: Io, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await io.run(_asked, method, *args, **kwargs)


def _asked(method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Ask the provider, with its refusals as gpuhub's errors."""
    try:
        return method(*args, **kwargs)
    except Refusal as refusal:
        raise error_of(refusal) from None
