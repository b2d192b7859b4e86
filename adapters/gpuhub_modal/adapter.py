"""The seam's methods for Modal: the order of calls, nothing else.

Modules that a call needs not are imported by the methods that need them: a program that only calls
starts sooner.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from gpuhub_modal.calls import Calls
from gpuhub_modal.states import status_of

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
    from gpuhub_modal.session import Session

__all__ = ["ModalAdapter"]


class ModalAdapter:
    """Modal as an adapter.

    Args:
        info: Facts.
        capabilities: Support of every feature.
        session: The client of this workspace.
    """

    def __init__(
        self, info: AdapterInfo, capabilities: Mapping[Feature, Support], session: Session
    ) -> None:
        self.info = info
        self.capabilities = capabilities
        self._session = session
        self._calls = Calls(session)

    def plan(self, spec: FunctionSpec, bundle: Bundle) -> Plan:
        """Translate; pure."""
        from gpuhub_modal.translate import make_plan

        return make_plan(spec, bundle)

    async def deploy(self, io: Io, plan: Plan, previous: DeploymentRef | None) -> DeploymentRef:
        """Make a new version of the app."""
        from gpuhub_modal.deploying import deploy

        return await deploy(io, plan, previous, self._session)

    async def find(self, io: Io, name: str) -> DeploymentRef | None:
        """Look for the app that gpuhub made."""
        from gpuhub_modal.finding import found

        return await found(io, self._session, name)

    async def connect(self, io: Io, scheme: str, address: str) -> DeploymentRef:  # noqa: ARG002
        """Give a function by ``app/function``, or the only one of an app."""
        from gpuhub_modal.changing import connected

        return await connected(io, address, self._session)

    async def submit(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        """Send one call."""
        return await self._calls.submit(io, ref, payload, options)

    async def poll(self, io: Io, call: CallRef, wait_s: float) -> CallState:
        """Ask about a call; may wait for its end."""
        return await self._calls.poll(io, call, wait_s)

    def stream(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> AsyncIterator[bytes]:
        """Send one call and yield its chunks."""
        return self._calls.stream(io, ref, payload, options)

    async def cancel(self, io: Io, call: CallRef) -> CancelReceipt:
        """Cancel a call."""
        return await self._calls.cancel(io, call)

    async def status(self, io: Io, ref: DeploymentRef) -> EndpointStatus:
        """Containers, waiting calls and limits, without starting a container."""
        app = await io.run(self._session.app, ref.data["app"])
        if app.state != "deployed":
            return status_of(app, None)
        function_id = app.functions.get(ref.data["function"], ref.data["function_id"])
        return status_of(app, await io.run(self._session.state, function_id))

    async def scale(self, io: Io, ref: DeploymentRef, scaling: Scaling) -> DeploymentRef:
        """Override the limits until the next deploy."""
        from gpuhub_modal.changing import scaled

        return await scaled(io, ref, scaling, self._session)

    async def logs(
        self, io: Io, ref: DeploymentRef, since: float | None, *, follow: bool
    ) -> AsyncIterator[LogLine]:
        """The app's log, oldest line first."""
        from gpuhub_modal.logs import read_logs

        async for line in read_logs(io, self._session, ref.data["app"], since, follow=follow):
            yield line

    async def versions(self, io: Io, ref: DeploymentRef) -> Sequence[Version]:
        """All versions, newest first."""
        from gpuhub_modal.history import versions_of

        return await io.run(versions_of, self._session, ref.data["app"])

    async def rollback(self, io: Io, ref: DeploymentRef, version: str) -> DeploymentRef:
        """Let an older version serve, as a new one."""
        from gpuhub_modal.changing import rolled_back

        return await rolled_back(io, ref, version, self._session)

    async def warm(self, io: Io, ref: DeploymentRef) -> None:
        """Start a container."""
        await self._calls.warm(io, ref)

    async def delete(self, io: Io, ref: DeploymentRef) -> None:
        """Stop the app for good."""
        from gpuhub_modal.changing import deleted

        await deleted(io, ref, self._session)

    def close(self) -> None:
        """Close the client."""
        self._session.close()
