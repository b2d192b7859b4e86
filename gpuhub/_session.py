"""One provider inside one workspace: the adapter, its connections and the engine over them."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
)
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from gpuhub import _drive
from gpuhub._clock import SystemClock
from gpuhub._closing import closing
from gpuhub._engine import Calls, Deployments, Planner
from gpuhub._http import ConnectionLimits, Connections, Origins
from gpuhub.adapter import AdapterInfo, AdapterModule, Clock, SuppliesClock
from gpuhub.errors import GpuHubError

if TYPE_CHECKING:
    from gpuhub._engine.calls import BoundedIo
    from gpuhub.journal import Journal
    from gpuhub.settings import ProviderSettings

T = TypeVar("T")


class Session:
    """The engine bound to one provider.

    Every use is written once, as a coroutine over an ``Io``: :meth:`run` steps it without a loop,
    :meth:`run_async` awaits it.
    """

    def __init__(
        self,
        module: AdapterModule,
        settings: ProviderSettings,
        journal: Journal,
        salt: Callable[[], bytes],
        clock: Clock | None = None,
    ) -> None:
        self.info: AdapterInfo = module.INFO
        self.settings = settings
        self.adapter = module.create(settings)
        if clock is None:
            adapter = self.adapter
            clock = adapter.clock if isinstance(adapter, SuppliesClock) else SystemClock()
        self.clock: Clock = clock
        self.connections = self.new_connections()
        self.deployments = Deployments(self.adapter, journal)
        self.calls = Calls(self.adapter, journal)
        self.planner = Planner(self.adapter, settings.on_unsupported, salt)

    def new_connections(self, concurrency: int | None = None) -> Connections:
        """Connections of their own, for a map that may have to cut them."""
        limits = ConnectionLimits() if concurrency is None else ConnectionLimits(concurrency + 32)
        return Connections(self.info, self.settings, clock=self.clock, limits=limits)

    def web_headers(self) -> dict[str, str]:
        """The headers of a request to a web function; they hold a credential."""
        name = self.info.web_origin
        return Origins(self.info, self.settings).credential_headers(name) if name else {}

    def run(self, use: Callable[[BoundedIo], Coroutine[Any, Any, T]]) -> T:
        """Step a use case to its end, on this thread and without an event loop."""
        with self._named_errors():
            return _drive.run(use(self.connections.blocking()))

    async def run_async(self, use: Callable[[BoundedIo], Awaitable[T]]) -> T:
        """Await a use case on the running loop."""
        with self._named_errors():
            return await use(self.connections.asynchronous())

    def iterate(self, use: Callable[[BoundedIo], AsyncIterator[T]]) -> Iterator[T]:
        """Step an asynchronous iterator, item by item."""
        with self._named_errors():
            yield from _drive.sync_iter(use(self.connections.blocking()))

    async def iterate_async(
        self, use: Callable[[BoundedIo], AsyncIterator[T]]
    ) -> AsyncGenerator[T]:
        """Iterate on the running loop."""
        with self._named_errors():
            async with closing(use(self.connections.asynchronous())) as items:
                async for item in items:
                    yield item

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Errors raised where the provider is not known, in pure parsing, learn it here."""
        try:
            yield
        except GpuHubError as error:
            error.provider = error.provider or self.info.name
            raise

    def close(self) -> None:
        """Close the connections, and the adapter where it has something to close."""
        self.connections.close()
        self._close_adapter()

    async def aclose(self) -> None:
        """Close, from inside a loop."""
        await self.connections.aclose()
        self._close_adapter()

    def _close_adapter(self) -> None:
        close = getattr(self.adapter, "close", None)
        if close is not None:
            close()
