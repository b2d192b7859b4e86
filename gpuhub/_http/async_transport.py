"""httpx on an event loop, over its own transport or over aiohttp's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import httpx

from gpuhub._http.client_options import URLS_KEPT, client_options
from gpuhub._http.failures import failure_of, phase_of, unsendable
from gpuhub._http.files import FileBody
from gpuhub._http.outgoing import ConnectionLimits, Outgoing
from gpuhub._http.pools import POOL_SIZE, Pools
from gpuhub.errors import GpuHubError, ProviderError, SpecError
from gpuhub.plan import Response

if TYPE_CHECKING:
    from gpuhub._http.fast_transports import FastTransports

__all__ = ["AsyncAnswer", "AsyncTransport"]


class AsyncTransport:
    """All connections of one event loop. See ``SyncTransport`` for why no ``send``.

    Args:
        limits: Number of connections and time limits.
        fast: Makes transports over aiohttp; ``None``: httpx's own.
    """

    def __init__(self, limits: ConnectionLimits, fast: FastTransports | None) -> None:
        def client(connections: int) -> httpx.AsyncClient:
            options = client_options(limits, connections)
            return httpx.AsyncClient(**options) if fast is None else fast.client(options)

        most = limits.max_connections
        self._pools = Pools(client, most, POOL_SIZE if fast is None else most)
        self._fast = fast
        self._url = lru_cache(URLS_KEPT)(httpx.URL)
        extra = () if fast is None else fast.errors
        self._errors: tuple[type[Exception], ...] = (httpx.HTTPError, *extra)

    async def exchange(self, outgoing: Outgoing) -> Response:
        """Send one request and read the whole answer, whatever its status.

        Raises:
            ProviderUnavailable: There was no whole answer.
        """
        answer = await self.open(outgoing)
        try:
            body = b"".join([chunk async for chunk in answer.chunks()])
        finally:
            await answer.close()
        return Response(answer.status, answer.headers, body)

    async def open(self, outgoing: Outgoing) -> AsyncAnswer:
        """Send one request and read the head of the answer. Close what it returns.

        Raises:
            ProviderUnavailable: There was no answer.
        """
        outgoing.require_time()
        file = outgoing.opened()
        pool = self._pools.take()

        def closed() -> None:
            self._pools.give_back(pool)
            if file is not None:  # an answer may come before the whole file was sent
                file.close()

        try:
            response = await self._send(outgoing, pool.client, file)
        except BaseException:
            closed()
            raise
        if isinstance(response, GpuHubError):
            closed()
            raise response
        return AsyncAnswer(response, outgoing, self, closed)

    async def _send(
        self,
        outgoing: Outgoing,
        client: httpx.AsyncClient,
        file: FileBody | None,
    ) -> httpx.Response | GpuHubError:
        """Give the error back; see ``SyncTransport``."""
        try:
            request = httpx.Request(
                outgoing.request.method,
                self._url(outgoing.url),
                headers={**client.headers, **_length_of(outgoing), **outgoing.headers},
                content=_body_of(outgoing) if file is None else _AsyncFileBody(file),
                extensions={"timeout": outgoing.timeouts},
            )
            transport = client._transport_for_url(request.url)  # noqa: SLF001
            return await transport.handle_async_request(request)
        except SpecError as error:
            return error
        except self._errors as error:
            read_error = None if file is None else file.error
            return read_error or self.failure(error, outgoing)
        except httpx.InvalidURL as error:
            return unsendable(outgoing, error)

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What the client raises when there is no answer."""
        return self._errors

    def failure(
        self, error: Exception, outgoing: Outgoing, received: int | None = None
    ) -> ProviderError:
        """The error to raise for one of :attr:`errors`."""
        happened = None if self._fast is None else self._fast.happened(error)
        cause, phase = happened or (error, phase_of(error))
        return failure_of(cause, outgoing, phase, received)

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._pools:
            await client.aclose()


class AsyncAnswer:
    """The head of an answer, and its body as it arrives.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
    """

    def __init__(
        self,
        response: httpx.Response,
        outgoing: Outgoing,
        transport: AsyncTransport,
        closed: Callable[[], None],
    ) -> None:
        self._response = response
        self._outgoing = outgoing
        self._transport = transport
        self._closed = closed
        self.status = response.status_code
        self.headers = dict(response.headers.items())

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The decoded body in chunks of any size.

        Raises:
            ProviderUnavailable: It was cut, or the budget ended.
        """
        response, outgoing = self._response, self._outgoing
        failure: ProviderError | None = None
        try:
            async for chunk in response.aiter_bytes():
                yield chunk
                outgoing.require_time_to_read(response.num_bytes_downloaded)
        except self._transport.errors as error:
            received = response.num_bytes_downloaded
            failure = self._transport.failure(error, outgoing, received)
        if failure is not None:
            raise failure

    async def close(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""
        try:
            await self._response.aclose()
        finally:
            self._closed()


class _AsyncFileBody:
    """A file read on threads.

    Not a generator: that cannot be closed while a transport's writer still waits in it.
    """

    def __init__(self, file: FileBody) -> None:
        self._file = file

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        chunk = await asyncio.to_thread(self._file.next_chunk)
        if not chunk:
            raise StopAsyncIteration
        return chunk


PIECE_BYTES = 256 * 1024
"""Larger bodies are handed over in pieces: one write of all of it would hold up the loop."""


def _body_of(outgoing: Outgoing) -> bytes | _Pieces | None:
    content = outgoing.content
    return content if content is None or len(content) <= PIECE_BYTES else _Pieces(content)


def _length_of(outgoing: Outgoing) -> dict[str, str]:
    """The length of a body that goes in pieces, which would otherwise be sent without one."""
    pieces = _body_of(outgoing)
    return {"content-length": str(len(pieces.content))} if isinstance(pieces, _Pieces) else {}


class _Pieces:
    """Bytes in pieces; not a generator, as :class:`_AsyncFileBody`."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._at = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = self.content[self._at : self._at + PIECE_BYTES]
        if not piece:
            raise StopAsyncIteration
        self._at += len(piece)
        return piece
