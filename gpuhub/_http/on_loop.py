"""The ``Io`` of async mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from typing_extensions import override

from gpuhub._clock import SleepsOnLoop
from gpuhub._http.answers import ERROR_BODY_BYTES, checked, error_of, is_answer
from gpuhub._http.blocking import nearer
from gpuhub._retry import again, is_retryable
from gpuhub.errors import ProviderError
from gpuhub.plan import Request, Response, Retry

if TYPE_CHECKING:
    from gpuhub._http.async_transport import AsyncAnswer, AsyncTransport
    from gpuhub._http.connections import Connections
    from gpuhub._http.outgoing import Outgoing

__all__ = ["AsyncIo"]

T = TypeVar("T")
Arguments = ParamSpec("Arguments")


class AsyncIo:
    """Suspends wherever it waits. Used on several loops, it has a client on each.

    Made by ``Connections.asynchronous()``; any number of tasks may share it.
    """

    __slots__ = ("_connections", "_deadline")

    def __init__(self, connections: Connections, deadline: float | None = None) -> None:
        self._connections = connections
        self._deadline = deadline

    @override
    def __repr__(self) -> str:
        """Show the provider; nothing secret."""
        return f"<AsyncIo {self._connections.info.name}>"

    def bounded(self, seconds: float | None) -> AsyncIo:
        """A view whose requests, retries included, end within so many seconds from now.

        ``None`` adds no limit; an earlier limit stays.
        """
        return AsyncIo(self._connections, nearer(self._deadline, seconds, self.now))

    def now(self) -> float:
        """Monotonic seconds of the workspace's clock."""
        return self._connections.clock.now()

    async def sleep(self, seconds: float) -> None:
        """Wait on the workspace's clock while other tasks run."""
        clock = self._connections.clock
        if isinstance(clock, SleepsOnLoop):
            await clock.sleep_async(seconds)
        else:
            await self._connections.threads.call(partial(clock.sleep, seconds))

    async def send(self, request: Request) -> Response:
        """Send one request and read the whole answer; retries as the request allows.

        Raises:
            ProviderError: The answer is an error, or there was none.
            ConfigError: The address or a credential is missing or cannot be used.
            SpecError: The body cannot be sent.
        """
        outgoing = self._connections.prepared(request, self._deadline)
        return await self._tried(partial(self._exchange, outgoing), request.retry)

    async def stream(self, request: Request) -> AsyncGenerator[bytes]:
        """Send one request and yield the body as it arrives. Not repeated once it began.

        Raises:
            ProviderError: As for :meth:`send`, before the first chunk; ``ProviderUnavailable``
                when the stream is cut.
        """
        outgoing = self._connections.prepared(request, self._deadline)
        answer = await self._tried(partial(self._open, outgoing), request.retry)
        try:
            async with aclosing(answer.chunks()) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            await answer.close()

    async def run(
        self,
        function: Callable[Arguments, T],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> T:
        """Call it on a thread, in a copy of the context."""
        return await self._connections.threads.call(partial(function, *args, **kwargs))

    async def ask(self, function: Callable[[], T], *, retry: Retry = Retry.SAFE) -> T:
        """Call it on a thread, and again as :meth:`send` would.

        Raises:
            ProviderError: The last try's.
        """
        return await self._tried(partial(self._connections.threads.call, function), retry)

    def iterate(self, make: Callable[[], Iterable[T]]) -> AsyncGenerator[T]:
        """Iterate over it on threads, one item at a time, and close it at the end."""
        return self._connections.threads.iterate(make)

    async def _tried(self, once: Callable[[], Awaitable[T]], retry: Retry) -> T:
        started = self.now()
        try:
            return await once()
        except ProviderError as error:
            if not is_retryable(error, retry):
                raise
            first = error
        return await again(
            once,
            first,
            retry,
            self._connections.policy,
            started=started,
            deadline=self._deadline,
            now=self.now,
            sleep=self.sleep,
        )

    async def _transport(self) -> AsyncTransport:
        loop = asyncio.get_running_loop()
        return self._connections.transport_on(loop) or (
            await self._connections.new_transport_on(loop)
        )

    async def _exchange(self, outgoing: Outgoing) -> Response:
        transport = await self._transport()
        return checked(outgoing, await transport.exchange(outgoing))

    async def _open(self, outgoing: Outgoing) -> AsyncAnswer:
        answer = await (await self._transport()).open(outgoing)
        if is_answer(outgoing, answer.status):
            return answer
        body = b""
        try:
            async with aclosing(answer.chunks()) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) >= ERROR_BODY_BYTES:
                        break
        finally:
            await answer.close()
        raise error_of(outgoing, Response(answer.status, answer.headers, body))
