"""All connections of one workspace to one provider."""

from __future__ import annotations

import os
import weakref
from collections.abc import AsyncGenerator
from threading import Lock
from typing import TYPE_CHECKING

from typing_extensions import override

from gpuhub._clock import SystemClock
from gpuhub._http.blocking import BlockingIo
from gpuhub._http.fast import load_fast
from gpuhub._http.origins import Origins
from gpuhub._http.outgoing import ConnectionLimits, Outgoing, prepared
from gpuhub._retry import RetryPolicy
from gpuhub.adapter import AdapterInfo, Clock
from gpuhub.plan import Request
from gpuhub.settings import ProviderSettings

if TYPE_CHECKING:
    import asyncio

    from gpuhub._http.async_transport import AsyncTransport
    from gpuhub._http.on_loop import AsyncIo
    from gpuhub._http.sync_transport import SyncTransport
    from gpuhub._http.threads import Threads

__all__ = ["Connections"]


class Connections:
    """One HTTP client for blocking use, and one for each event loop; made when first used.

    Safe to share among threads, and usable after a fork. What is not closed goes with the object,
    with its loop or with the process.

    Args:
        info: The provider.
        settings: Its addresses and credentials; credentials are read when a request is sent.
        clock: Measures budgets and waits. Default: the system's.
        limits: Number of connections, and time limits.
        policy: How requests are repeated.
        fast: Use aiohttp on event loops. ``None``: the setting ``fast`` of the provider, or else
            if it is installed and safe.

    Raises:
        ConfigError: ``fast`` is ``True`` and aiohttp is missing or would send requests twice.
    """

    def __init__(
        self,
        info: AdapterInfo,
        settings: ProviderSettings,
        *,
        clock: Clock | None = None,
        limits: ConnectionLimits | None = None,
        policy: RetryPolicy | None = None,
        fast: bool | None = None,
    ) -> None:
        self.info = info
        self.clock: Clock = SystemClock() if clock is None else clock
        self.policy = RetryPolicy() if policy is None else policy
        self.limits = ConnectionLimits() if limits is None else limits
        self._origins = Origins(info, settings)
        self._fast = settings.get("fast") if fast is None else fast
        self._notes: list[str] = []
        self._closed = False
        self._process = os.getpid()
        self._lock = Lock()
        self._sync: SyncTransport | None = None
        self._kept: list[SyncTransport] = []
        self._on_loops: dict[asyncio.AbstractEventLoop, _OnLoop] = {}
        self._threads: Threads | None = None
        if self._fast:
            load_fast(self._fast)

    @override
    def __repr__(self) -> str:
        """Show the provider; nothing secret."""
        return f"<Connections {self.info.name}{' (closed)' if self._closed else ''}>"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how the connections are made."""
        return tuple(self._notes)

    def blocking(self) -> BlockingIo:
        """An ``Io`` for coroutines that are stepped; for any number of threads."""
        return BlockingIo(self)

    def asynchronous(self) -> AsyncIo:
        """An ``Io`` for coroutines on the running loop."""
        from gpuhub._http.on_loop import AsyncIo

        return AsyncIo(self)

    @property
    def threads(self) -> Threads:
        """Threads for blocking calls beside a loop."""
        if self._threads is None:
            from gpuhub._http.threads import Threads  # loads asyncio

            self._threads = Threads()
        return self._threads

    def prepared(self, request: Request, deadline: float | None) -> Outgoing:
        """A request ready to be sent, within a deadline on the clock."""
        return prepared(request, self._origins, self.limits, deadline, self.clock.now)

    def transport(self) -> SyncTransport:
        """The blocking client of this process."""
        transport = self._sync
        if transport is None or self._process != os.getpid():
            return self._new_transport()
        return transport

    def transport_on(self, loop: asyncio.AbstractEventLoop) -> AsyncTransport | None:
        """The client of a loop, if there is one already."""
        entry = self._on_loops.get(loop)
        return None if entry is None or self._closed else entry.transport

    async def new_transport_on(self, loop: asyncio.AbstractEventLoop) -> AsyncTransport:
        """Make the client of the running loop; it is closed with the loop at the latest."""
        from gpuhub._http.async_transport import AsyncTransport  # loads httpx

        self._require_open()
        fast, note = load_fast(self._fast)
        if note and note not in self._notes:
            self._notes.append(note)
        entry = _OnLoop(AsyncTransport(self.limits, fast), self._closed_with(loop))
        with self._lock:
            for ended in [known for known in self._on_loops if known.is_closed()]:
                del self._on_loops[ended]
            self._on_loops[loop] = entry
        await anext(entry.guard)  # registers it with the loop; does not suspend
        return entry.transport

    async def _closed_with(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
        """Close a loop's client when the loop closes its asynchronous generators, at its end.

        Nothing else tells a library that ``asyncio.run`` is about to return.
        """
        try:
            yield
        finally:
            with self._lock:
                entry = self._on_loops.pop(loop, None)
            if entry is not None:
                await entry.transport.aclose()

    def close(self) -> None:
        """Close everything. Blocking requests in flight fail; loops close theirs when they run."""
        self._closed = True
        with self._lock:
            transport, self._sync = self._sync, None
            entries = dict(self._on_loops)
        if transport is not None:
            transport.close()
        if self._threads is not None:
            self._threads.close()
        for loop, entry in entries.items():
            if loop.is_running():
                _close_on(loop, entry.guard)

    async def aclose(self) -> None:
        """Close everything, at once what belongs to the running loop."""
        import asyncio

        self._closed = True
        entry = self._on_loops.get(asyncio.get_running_loop())
        if entry is not None:
            await entry.guard.aclose()
        self.close()

    def _new_transport(self) -> SyncTransport:
        from gpuhub._http.sync_transport import SyncTransport  # loads httpx

        if self._process != os.getpid():
            # A forked child must not speak on its parent's connections, nor wait for a lock that
            # a thread of the parent held. Kept, not closed: the sockets are the parent's.
            self._process, self._lock = os.getpid(), Lock()
            self._kept += [self._sync] if self._sync else []
            self._sync = None
        self._require_open()
        with self._lock:
            if self._sync is None:
                self._sync = SyncTransport(self.limits)
                weakref.finalize(self, self._sync.close)
            return self._sync

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"the connections to {self.info.name} are closed")


class _OnLoop:
    """One loop's client, and the generator that closes it with the loop."""

    __slots__ = ("guard", "transport")

    def __init__(self, transport: AsyncTransport, guard: AsyncGenerator[None]) -> None:
        self.transport = transport
        self.guard = guard


def _close_on(loop: asyncio.AbstractEventLoop, guard: AsyncGenerator[None]) -> None:
    import asyncio

    async def close() -> None:
        await guard.aclose()

    asyncio.run_coroutine_threadsafe(close(), loop)
