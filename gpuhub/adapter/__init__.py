"""THE SEAM: everything an adapter is, and everything it may use.

An adapter is a package that exposes ``INFO`` (an :class:`AdapterInfo`) and ``create`` (settings
to :class:`Adapter`), named by an entry point in the group ``gpuhub.adapters``. Nothing is
inherited: waiting, retrying, timing out, error wrapping and validation are the engine's.

Rules for adapters:

* ``async def`` methods await nothing but the methods of the :class:`Io` they are given. The
  engine steps them by hand in sync mode: there is no event loop.
* ``plan`` is pure: no network, no credentials, no clock.
* State lives in the adapter object, never in a module: two workspaces may share a process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar, runtime_checkable

from gpuhub.adapter.calls import CallOptions, CallRef, CallState, CancelReceipt, Phase
from gpuhub.adapter.deployments import (
    DeploymentRef,
    EndpointStatus,
    LogLine,
    Rollout,
    Version,
    WorkerCounts,
)
from gpuhub.adapter.features import Feature, Level, Support
from gpuhub.adapter.info import AdapterInfo, ErrorFacts, ErrorRule, Limits, Origin
from gpuhub.plan import Retry

if TYPE_CHECKING:
    from gpuhub.bundle import Bundle
    from gpuhub.plan import Plan, Request, Response
    from gpuhub.scaling import Scaling
    from gpuhub.settings import ProviderSettings
    from gpuhub.spec import FunctionSpec

T = TypeVar("T")
Arguments = ParamSpec("Arguments")

__all__ = [
    "Adapter",
    "AdapterInfo",
    "AdapterModule",
    "CallOptions",
    "CallRef",
    "CallState",
    "CancelReceipt",
    "Clock",
    "DeploymentRef",
    "EndpointStatus",
    "ErrorFacts",
    "ErrorRule",
    "Feature",
    "FinishesDeletes",
    "Io",
    "Level",
    "Limits",
    "LogLine",
    "Origin",
    "Phase",
    "PurgesQueue",
    "RetiresVersions",
    "RetriesCalls",
    "Rollout",
    "SuppliesClock",
    "Support",
    "Version",
    "WorkerCounts",
]


class Clock(Protocol):
    """Time as the engine sees it: the system's, or one that a test moves."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch, UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait, or move the clock."""
        ...


class Io(Protocol):
    """Everything an adapter may await."""

    async def send(self, request: Request) -> Response:
        """Send one request and read the whole answer.

        Adds the origin's base URL and credential, retries as ``request.retry`` allows and maps
        error answers by the adapter's table.

        Raises:
            ProviderError: The answer is an error, or there was none.
        """
        ...

    def stream(self, request: Request) -> AsyncIterator[bytes]:
        """Send one request and yield the body as it arrives, in chunks of any size."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def run(
        self, function: Callable[Arguments, T], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> T:
        """Run a blocking call: directly in sync mode, on a thread in async mode."""
        ...

    async def ask(self, function: Callable[[], T], *, retry: Retry = Retry.SAFE) -> T:
        """Run a blocking request of an SDK, and repeat it as :meth:`send` repeats one.

        Args:
            function: Sends one request, without repeating it, and raises errors of
                ``gpuhub.errors``.
            retry: When it may be sent again.

        Raises:
            ProviderError: The last answer is an error.
        """
        ...

    def iterate(self, make: Callable[[], Iterable[T]]) -> AsyncIterator[T]:
        """Iterate over a blocking iterable: directly in sync mode, on a thread in async mode."""
        ...

    def now(self) -> float:
        """Monotonic seconds."""
        ...


class Adapter(Protocol):
    """One provider. See the module's rules."""

    @property
    def info(self) -> AdapterInfo:
        """Facts."""
        ...

    @property
    def capabilities(self) -> Mapping[Feature, Support]:
        """Support of every :class:`Feature`."""
        ...

    def plan(self, spec: FunctionSpec, bundle: Bundle) -> Plan:
        """Translate; pure. The deployment's name is ``spec.deployment_name``."""
        ...

    async def deploy(self, io: Io, plan: Plan, previous: DeploymentRef | None) -> DeploymentRef:
        """Create or update; may return before it is routable. Sends no inference request."""
        ...

    async def find(self, io: Io, name: str) -> DeploymentRef | None:
        """The deployment gpuhub made under this name, or ``None``."""
        ...

    async def connect(self, io: Io, scheme: str, address: str) -> DeploymentRef:
        """An endpoint gpuhub may not have made, from ``scheme://address``."""
        ...

    async def submit(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        """Send one call, at most once. The state may be terminal already."""
        ...

    async def poll(self, io: Io, call: CallRef, wait_s: float) -> CallState:
        """Ask about a call; may wait up to ``wait_s`` for its end."""
        ...

    def stream(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> AsyncIterator[bytes]:
        """Send one call and yield the worker's chunks, one JSON document each."""
        ...

    async def cancel(self, io: Io, call: CallRef) -> CancelReceipt:
        """Stop a call."""
        ...

    async def status(self, io: Io, ref: DeploymentRef) -> EndpointStatus:
        """Workers, queue, rollout."""
        ...

    async def scale(self, io: Io, ref: DeploymentRef, scaling: Scaling) -> DeploymentRef:
        """Change the limits of the live deployment."""
        ...

    def logs(
        self, io: Io, ref: DeploymentRef, since: float | None, *, follow: bool
    ) -> AsyncIterator[LogLine]:
        """Log lines, oldest first; ``since`` is seconds since the epoch."""
        ...

    async def versions(self, io: Io, ref: DeploymentRef) -> Sequence[Version]:
        """All versions the provider keeps, newest first."""
        ...

    async def rollback(self, io: Io, ref: DeploymentRef, version: str) -> DeploymentRef:
        """Make an older version serve."""
        ...

    async def warm(self, io: Io, ref: DeploymentRef) -> None:
        """Start a worker now, without a call where the provider can."""
        ...

    async def delete(self, io: Io, ref: DeploymentRef) -> None:
        """Remove all that deploy made."""
        ...


@runtime_checkable
class SuppliesClock(Protocol):
    """An adapter that brings its own time, as the mock does."""

    clock: Clock


@runtime_checkable
class RetriesCalls(Protocol):
    """An adapter whose provider can run an ended call again, under its id."""

    async def retry(self, io: Io, call: CallRef) -> CallState:
        """Ask for it once."""
        ...


@runtime_checkable
class RetiresVersions(Protocol):
    """An adapter whose provider runs and bills old versions on until they are stopped."""

    async def retire(self, io: Io, ref: DeploymentRef) -> None:
        """Stop every version but this one, which is routable now. Told after each deploy."""
        ...


@runtime_checkable
class FinishesDeletes(Protocol):
    """An adapter whose provider removes a deployment only some time after it was switched off."""

    async def finish_deletes(self, io: Io) -> Sequence[str]:
        """Remove what waits for it, and give the names of what is gone now."""
        ...


@runtime_checkable
class PurgesQueue(Protocol):
    """An adapter whose provider can drop the calls that wait."""

    async def purge_queue(self, io: Io, ref: DeploymentRef) -> int:
        """Drop them and give their number."""
        ...


class AdapterModule(Protocol):
    """What an entry point of ``gpuhub.adapters`` names."""

    INFO: AdapterInfo

    def create(self, settings: ProviderSettings) -> Adapter:
        """Make an adapter for one workspace; needs no credentials yet."""
        ...
