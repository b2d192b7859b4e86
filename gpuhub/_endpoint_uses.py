"""An endpoint's uses, each written once as a coroutine over an ``Io``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from gpuhub._closing import closing
from gpuhub._engine.calls import CallSettings
from gpuhub._wire import Wire
from gpuhub.adapter import CallState, DeploymentRef, EndpointStatus, LogLine, Version
from gpuhub.call import Call

if TYPE_CHECKING:
    from gpuhub._engine.calls import BoundedIo
    from gpuhub._session import Session
    from gpuhub.scaling import Scaling

R = TypeVar("R", default=Any)


class EndpointUses(Generic[R]):
    """What :class:`~gpuhub.endpoint.Endpoint` offers twice is here once."""

    def __init__(
        self,
        session: Session,
        name: str,
        wire: Wire,
        ref: DeploymentRef | None,
        settings: CallSettings,
    ) -> None:
        self.name = name
        self._session = session
        self._wire = wire
        self._ref = ref
        self._settings = settings

    async def _resolve(self, io: BoundedIo) -> DeploymentRef:
        if self._ref is None:
            return await self._session.deployments.resolve(io, self.name)
        return self._ref

    async def _invoke(self, io: BoundedIo, payload: bytes) -> CallState:
        ref = await self._resolve(io)
        return await self._session.calls.invoke(io, ref, payload, self._settings)

    async def _spawn(self, io: BoundedIo, payload: bytes) -> Call[R]:
        ref = await self._resolve(io)
        call = await self._session.calls.spawn(io, ref, payload, self._settings)
        return Call(self._session, call, self._wire)

    async def _stream(self, io: BoundedIo, payload: bytes) -> AsyncIterator[R]:
        ref = await self._resolve(io)
        chunks = self._session.calls.stream(io, ref, payload, self._settings)
        async with closing(self._wire.items(ref, chunks)) as values:
            async for value in values:
                yield value

    async def _status(self, io: BoundedIo) -> EndpointStatus:
        return await self._session.deployments.status(io, await self._resolve(io))

    async def _scale(
        self, io: BoundedIo, scaling: Scaling | None, changes: Mapping[str, Any]
    ) -> Scaling:
        ref = await self._resolve(io)
        if scaling is None:
            scaling = await self._session.deployments.changed_scaling(io, ref, changes)
        self._update(await self._session.deployments.scale(io, ref, scaling))
        return scaling

    async def _logs(
        self, io: BoundedIo, since: float | None, *, follow: bool
    ) -> AsyncIterator[LogLine]:
        ref = await self._resolve(io)
        start = None if since is None else self._session.clock.wall() - since
        found = self._session.deployments.logs(io, ref, start, follow=follow)
        async with closing(found) as lines:
            async for line in lines:
                yield line

    async def _versions(self, io: BoundedIo) -> list[Version]:
        return list(await self._session.deployments.versions(io, await self._resolve(io)))

    async def _rollback(self, io: BoundedIo, version: str | None) -> str:
        ref = await self._resolve(io)
        back = await self._session.deployments.rollback(io, ref, version)
        self._update(back)
        return back.version

    async def _warm(self, io: BoundedIo) -> None:
        await self._session.deployments.warm(io, await self._resolve(io))

    async def _purge_queue(self, io: BoundedIo) -> int:
        return await self._session.calls.purge_queue(io, await self._resolve(io))

    async def _delete(self, io: BoundedIo) -> None:
        await self._session.deployments.delete(io, await self._resolve(io))

    def _update(self, ref: DeploymentRef) -> None:
        if self._ref is not None:
            self._ref = ref

    def _encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        return self._wire.encode(args, kwargs)
