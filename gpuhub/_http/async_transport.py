"""httpx on an event loop, over its own transport or over aiohttp's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from gpuhub._http.client_options import client_options
from gpuhub._http.failures import Phase, failure_of, phase_of, unsendable
from gpuhub._http.outgoing import ConnectionLimits, Outgoing, unreadable
from gpuhub.errors import ProviderError
from gpuhub.plan import Response

if TYPE_CHECKING:
    from gpuhub._http.fast_transports import FastTransports

__all__ = ["AsyncAnswer", "AsyncTransport"]

FILE_CHUNK = 1_048_576


class AsyncTransport:
    """One pool of connections for one event loop. See ``SyncTransport`` for why no ``send``.

    Args:
        limits: Of the pool.
        fast: Makes transports over aiohttp; ``None``: httpx's own.
    """

    def __init__(self, limits: ConnectionLimits, fast: FastTransports | None) -> None:
        options = client_options(limits)
        self._client = httpx.AsyncClient(**options) if fast is None else fast.client(options)
        self._headers = dict(self._client.headers)
        self._fast = fast
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
        if outgoing.file is None:
            return await self._open(outgoing, outgoing.content)
        async with aclosing(_read(outgoing.file)) as content:
            return await self._open(outgoing, content)

    async def _open(
        self, outgoing: Outgoing, content: bytes | AsyncIterator[bytes] | None
    ) -> AsyncAnswer:
        failure: ProviderError
        try:
            request = httpx.Request(
                outgoing.request.method,
                outgoing.url,
                headers={**self._headers, **outgoing.headers},
                content=content,
                extensions={"timeout": outgoing.timeouts},
            )
            transport = self._client._transport_for_url(request.url)  # noqa: SLF001
            return AsyncAnswer(await transport.handle_async_request(request), outgoing, self)
        except self._errors as error:
            failure = self.failure(error, outgoing)
        except httpx.InvalidURL as error:
            raise unsendable(outgoing, error) from None
        # Outside the handler: its exception refers to the request and the credentials in it.
        raise failure

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What the client raises when there is no answer."""
        return self._errors

    def failure(
        self, error: Exception, outgoing: Outgoing, received: int | None = None
    ) -> ProviderError:
        """The error to raise for one of :attr:`errors`."""
        phase: Phase | None = None if self._fast is None else self._fast.phase_of(error)
        return failure_of(error, outgoing, phase or phase_of(error), received)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()


class AsyncAnswer:
    """The head of an answer, and its body as it arrives.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
    """

    def __init__(
        self, response: httpx.Response, outgoing: Outgoing, transport: AsyncTransport
    ) -> None:
        self._response = response
        self._outgoing = outgoing
        self._transport = transport
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
        await self._response.aclose()


async def _read(path: Path) -> AsyncGenerator[bytes]:
    try:
        file = await asyncio.to_thread(path.open, "rb")
        with file:
            while chunk := await asyncio.to_thread(file.read, FILE_CHUNK):
                yield chunk
    except OSError as error:
        raise unreadable(path, error) from None
