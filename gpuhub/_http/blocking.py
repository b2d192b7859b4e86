"""The ``Io`` of sync mode: async in shape only."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from typing_extensions import override

from gpuhub._http.answers import ERROR_BODY_BYTES, checked, error_of, is_answer
from gpuhub._retry import again, is_retryable
from gpuhub.errors import ProviderError
from gpuhub.plan import Request, Response, Retry

if TYPE_CHECKING:
    from gpuhub._http.connections import Connections
    from gpuhub._http.outgoing import Outgoing
    from gpuhub._http.sync_transport import SyncAnswer

__all__ = ["BlockingIo"]

T = TypeVar("T")
Arguments = ParamSpec("Arguments")


class BlockingIo:
    """Blocks in every method, so that a coroutine over it never suspends.

    Made by ``Connections.blocking()``; safe to share among threads.
    """

    __slots__ = ("_connections", "_deadline")

    def __init__(self, connections: Connections, deadline: float | None = None) -> None:
        self._connections = connections
        self._deadline = deadline

    @override
    def __repr__(self) -> str:
        """Show the provider; nothing secret."""
        return f"<BlockingIo {self._connections.info.name}>"

    def bounded(self, seconds: float | None) -> BlockingIo:
        """A view whose requests, retries included, end within so many seconds from now.

        ``None`` adds no limit; an earlier limit stays.
        """
        return BlockingIo(self._connections, nearer(self._deadline, seconds, self.now))

    def now(self) -> float:
        """Monotonic seconds of the workspace's clock."""
        return self._connections.clock.now()

    async def sleep(self, seconds: float) -> None:
        """Wait on the workspace's clock."""
        self._connections.clock.sleep(seconds)

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
            for chunk in answer.chunks():
                yield chunk
        finally:
            answer.close()

    async def run(
        self,
        function: Callable[Arguments, T],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> T:
        """Call it."""
        return function(*args, **kwargs)

    async def ask(self, function: Callable[[], T], *, retry: Retry = Retry.SAFE) -> T:
        """Call it, and again as :meth:`send` would.

        Raises:
            ProviderError: The last try's.
        """
        return await self._tried(function, retry)

    async def iterate(self, make: Callable[[], Iterable[T]]) -> AsyncGenerator[T]:
        """Iterate over it, and close it at the end."""
        iterator = iter(make())
        try:
            for item in iterator:
                yield item
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    async def _tried(self, once: Callable[[], T], retry: Retry) -> T:
        started = self.now()
        try:
            return once()
        except ProviderError as error:
            if not is_retryable(error, retry):
                raise
            first = error

        async def once_more() -> T:
            return once()

        return await again(
            once_more,
            first,
            retry,
            self._connections.policy,
            started=started,
            deadline=self._deadline,
            now=self.now,
            sleep=self.sleep,
        )

    def _exchange(self, outgoing: Outgoing) -> Response:
        return checked(outgoing, self._connections.transport().exchange(outgoing))

    def _open(self, outgoing: Outgoing) -> SyncAnswer:
        answer = self._connections.transport().open(outgoing)
        if is_answer(outgoing, answer.status):
            return answer
        try:
            body = b""
            for chunk in answer.chunks():
                body += chunk
                if len(body) >= ERROR_BODY_BYTES:
                    break
        finally:
            answer.close()
        raise error_of(outgoing, Response(answer.status, answer.headers, body))


def nearer(deadline: float | None, seconds: float | None, now: Callable[[], float]) -> float | None:
    """The earlier of a deadline and one so many seconds from now; ``None`` is never."""
    if seconds is None:
        return deadline
    moment = now() + seconds
    return moment if deadline is None else min(deadline, moment)
