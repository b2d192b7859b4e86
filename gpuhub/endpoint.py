"""A deployment, seen from the outside: call it, watch it, change it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import ParamSpec, TypeVar, override

from gpuhub._endpoint_uses import EndpointUses
from gpuhub._engine.calls import CallSettings
from gpuhub._map import MapOptions, MapSource, map_blocking, map_on_loop
from gpuhub._wire import Wire
from gpuhub.adapter import DeploymentRef, EndpointStatus, LogLine, Version
from gpuhub.call import Call
from gpuhub.codec import codec_for
from gpuhub.errors import ConfigError
from gpuhub.registry import provider_of_scheme
from gpuhub.scaling import Scaling
from gpuhub.workspace import Workspace, current_workspace

if TYPE_CHECKING:
    from gpuhub._session import Session

__all__ = ["Endpoint", "ScaleReport"]

P = ParamSpec("P", default=...)
R = TypeVar("R", default=Any)


@dataclass(frozen=True, slots=True)
class ScaleReport:
    """What a live change of the limits did.

    Attributes:
        scaling: The limits now in force.
        until: What puts the declared limits back.
    """

    scaling: Scaling
    until: str = "the next deploy, which sends the limits of the decorator again"


class Endpoint(EndpointUses[R], Generic[P, R]):
    """A deployment at a provider.

    Comes from ``function.deploy()``, ``function.endpoint()`` or :meth:`connect`. Whether it
    exists is found out at the first use, once.
    """

    def __init__(
        self,
        session: Session,
        name: str,
        wire: Wire,
        *,
        ref: DeploymentRef | None = None,
        settings: CallSettings | None = None,
    ) -> None:
        super().__init__(session, name, wire, ref, settings or CallSettings())

    @classmethod
    def connect(cls, url: str, *, workspace: Workspace | None = None) -> Endpoint[..., Any]:
        """An endpoint that is already deployed, made by gpuhub or not.

        Args:
            url: ``provider://address`` as the provider's page in the docs says, such as
                ``"runpod://abc123"``.
            workspace: Whose credentials to use. Default: the current one.

        Raises:
            ConfigError: The URL is malformed or its provider unknown.
            NotFound: The provider has no such endpoint.
        """
        workspace, session, scheme, address = _connection(url, workspace)
        ref = session.run(lambda io: session.deployments.connect(io, scheme, address))
        return cls._connected(workspace, session, ref)

    @classmethod
    async def connect_async(
        cls, url: str, *, workspace: Workspace | None = None
    ) -> Endpoint[..., Any]:
        """An endpoint that is already deployed. See :meth:`connect`."""
        workspace, session, scheme, address = _connection(url, workspace)
        ref = await session.run_async(lambda io: session.deployments.connect(io, scheme, address))
        return cls._connected(workspace, session, ref)

    @classmethod
    def _connected(
        cls, workspace: Workspace, session: Session, ref: DeploymentRef
    ) -> Endpoint[..., Any]:
        wire = workspace.wire(codec_for(None, None, made_by_gpuhub=ref.made_by_gpuhub))
        return Endpoint(session, ref.name, wire, ref=ref)

    @override
    def __repr__(self) -> str:
        """Show provider and name."""
        return f"Endpoint({self._session.info.name}, {self.name!r})"

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return self._session.info.name

    @property
    def ref(self) -> DeploymentRef:
        """The deployment's identity.

        Raises:
            NotDeployed: There is none.
        """
        return self._session.run(self._resolve)

    @property
    def url(self) -> str | None:
        """HTTP address of the deployment, where it has one."""
        return self.ref.url

    def web_headers(self) -> dict[str, str]:
        """Headers with which a request to :attr:`url` is let through, by lower-case name.

        They hold your credential: hand them to an HTTP client and keep them out of logs. Empty
        where the provider asks for none.

        Raises:
            MissingCredentials: The provider asks for one, and it is not set.
        """
        return self._session.web_headers()

    @property
    def version(self) -> str:
        """The version that serves, in the provider's numbering."""
        return self.ref.version

    # Calls

    def with_options(
        self,
        *,
        timeout: float | None = None,
        idempotency_key: str | None = None,
        webhook: str | None = None,
    ) -> Endpoint[P, R]:
        """A copy whose calls go out with these options.

        Args:
            timeout: Seconds for the whole call, cold start included; then the remote call is
                cancelled and :class:`~gpuhub.errors.CallTimedOut` raised. Default: no limit.
            idempotency_key: Sent where the provider has such a key; a second call with the same
                key is the same call.
            webhook: URL the provider calls at the end, where it can.
        """
        given = {"budget_s": timeout, "idempotency_key": idempotency_key, "webhook": webhook}
        changed = {name: value for name, value in given.items() if value is not None}
        return self._copy(replace(self._settings, **changed))  # type: ignore[arg-type]

    def invoke(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call and wait for the result.

        Raises:
            NotDeployed: There is no such deployment.
            RemoteError: The function raised; carries the remote traceback.
            CallFailed: The call ended without a result.
            ProviderError: The provider refused the call: it has not run.
        """
        payload = self._encode(args, kwargs)
        state = self._session.run(lambda io: self._invoke(io, payload))
        value: R = self._wire.value(state)
        return value

    async def invoke_async(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call and wait for the result. See :meth:`invoke`."""
        payload = self._encode(args, kwargs)
        state = await self._session.run_async(lambda io: self._invoke(io, payload))
        value: R = self._wire.value(state)
        return value

    def spawn(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Submit a call and return at once."""
        payload = self._encode(args, kwargs)
        return self._session.run(lambda io: self._spawn(io, payload))

    async def spawn_async(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Submit a call and return at once."""
        payload = self._encode(args, kwargs)
        return await self._session.run_async(lambda io: self._spawn(io, payload))

    def stream(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        """Call a generator function and yield its items as they come.

        Raises:
            OutcomeUnknown: The stream was cut before its end.
        """
        payload = self._encode(args, kwargs)
        return self._session.iterate(lambda io: self._stream(io, payload))

    def stream_async(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        """Call a generator function and yield its items as they come. See :meth:`stream`."""
        payload = self._encode(args, kwargs)
        return self._session.iterate_async(lambda io: self._stream(io, payload))

    def map(
        self,
        *iterables: Iterable[Any],
        concurrency: int = 64,
        ordered: bool = True,
        return_exceptions: bool = False,
        journal: str | None = None,
        retry_failed: bool = False,
        progress: bool | Callable[[int, int | None], None] = False,
    ) -> Iterator[R]:
        """Call once for each item, many at a time.

        Items are taken and results given lazily; memory stays bounded by ``concurrency``.

        Args:
            iterables: One for each positional parameter, as the builtin ``map`` takes them.
            concurrency: Calls in flight.
            ordered: Give results in the order of the items; otherwise as they come.
            return_exceptions: Give a failed item's exception as its result instead of raising it.
            journal: File that remembers finished items, so that a rerun after a crash does not
                run them again. Items in flight at the crash are followed if the provider still
                knows them, run again if the function is ``idempotent``, else
                :class:`~gpuhub.errors.OutcomeUnknown`.
            retry_failed: With a journal: run items again whose function raised.
            progress: ``True`` shows a bar; a function is told ``(finished, total or None)``.
        """
        options = MapOptions(
            concurrency, ordered, return_exceptions, journal, retry_failed, progress
        )
        return map_blocking(self._map_source(), iterables, options)

    def map_async(
        self,
        *iterables: Iterable[Any],
        concurrency: int = 64,
        ordered: bool = True,
        return_exceptions: bool = False,
        journal: str | None = None,
        retry_failed: bool = False,
        progress: bool | Callable[[int, int | None], None] = False,
    ) -> AsyncIterator[R]:
        """Call once for each item, many at a time. See :meth:`map`."""
        options = MapOptions(
            concurrency, ordered, return_exceptions, journal, retry_failed, progress
        )
        return map_on_loop(self._map_source(), iterables, options)

    # Operations

    def status(self) -> EndpointStatus:
        """Workers, queue and rollout, as the provider tells them."""
        return self._session.run(self._status)

    async def status_async(self) -> EndpointStatus:
        """Workers, queue and rollout, as the provider tells them."""
        return await self._session.run_async(self._status)

    def scale(self, scaling: Scaling | None = None, **changes: Any) -> ScaleReport:
        """Change the limits of the live deployment, until the next deploy.

        Args:
            scaling: All limits. Default: the limits in force with ``changes``.
            changes: Fields of :class:`~gpuhub.scaling.Scaling`, such as ``max_workers=8``.

        Raises:
            SpecError: The limits do not agree.
            UnsupportedSetting: The provider cannot change a live deployment.
        """
        return ScaleReport(self._session.run(lambda io: self._scale(io, scaling, changes)))

    async def scale_async(self, scaling: Scaling | None = None, **changes: Any) -> ScaleReport:
        """Change the limits of the live deployment. See :meth:`scale`."""
        return ScaleReport(
            await self._session.run_async(lambda io: self._scale(io, scaling, changes))
        )

    def logs(self, *, since: float | None = None, follow: bool = False) -> Iterator[LogLine]:
        """Log lines of the workers, oldest first.

        Args:
            since: Seconds back from now. Default: all that the provider keeps.
            follow: Go on with new lines until the iterator is closed.
        """
        return self._session.iterate(lambda io: self._logs(io, since, follow=follow))

    def logs_async(
        self, *, since: float | None = None, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        """Log lines of the workers, oldest first. See :meth:`logs`."""
        return self._session.iterate_async(lambda io: self._logs(io, since, follow=follow))

    def versions(self) -> list[Version]:
        """All versions the provider keeps, newest first."""
        return self._session.run(self._versions)

    async def versions_async(self) -> list[Version]:
        """All versions the provider keeps, newest first."""
        return await self._session.run_async(self._versions)

    def rollback(self, version: str | None = None) -> str:
        """Serve an older version and give the one that now serves.

        Args:
            version: Its id. Default: the one before the current.

        Raises:
            NotFound: There is no such version.
        """
        return self._session.run(lambda io: self._rollback(io, version))

    async def rollback_async(self, version: str | None = None) -> str:
        """Serve an older version. See :meth:`rollback`."""
        return await self._session.run_async(lambda io: self._rollback(io, version))

    def warm(self) -> None:
        """Start a worker now. It is billed from its start."""
        self._session.run(self._warm)

    async def warm_async(self) -> None:
        """Start a worker now. It is billed from its start."""
        await self._session.run_async(self._warm)

    def purge_queue(self) -> int:
        """Drop the calls that wait, and give their number; running ones go on. RunPod only.

        Raises:
            UnsupportedSetting: The provider cannot.
        """
        return self._session.run(self._purge_queue)

    async def purge_queue_async(self) -> int:
        """Drop the calls that wait. See :meth:`purge_queue`."""
        return await self._session.run_async(self._purge_queue)

    def delete(self) -> None:
        """Remove all that deploy made: the deployment stops billing."""
        self._session.run(self._delete)

    async def delete_async(self) -> None:
        """Remove all that deploy made: the deployment stops billing."""
        await self._session.run_async(self._delete)

    def _map_source(self) -> MapSource:
        return MapSource(self.name, self._session, self._wire, self._settings, self._resolve)

    def _copy(self, settings: CallSettings) -> Endpoint[P, R]:
        return Endpoint(
            self._session,
            self.name,
            self._wire,
            ref=self._ref,
            settings=settings,
        )


def _connection(url: str, workspace: Workspace | None) -> tuple[Workspace, Session, str, str]:
    scheme, mark, address = url.partition("://")
    if not (scheme and mark and address):
        msg = f"an endpoint's address looks like provider://address (got {url!r})"
        raise ConfigError(msg, next_step="for example gpuhub.Endpoint.connect('runpod://abc123')")
    workspace = workspace or current_workspace()
    return workspace, workspace.session(provider_of_scheme(scheme)), scheme, address
