"""httpx without a loop."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache, partial

import httpx

from gpuhub._http.client_options import URLS_KEPT, client_options
from gpuhub._http.failures import failure_of, phase_of, unsendable
from gpuhub._http.files import FileBody
from gpuhub._http.outgoing import ConnectionLimits, Outgoing
from gpuhub._http.pools import Pool, Pools
from gpuhub.errors import GpuHubError, ProviderError, SpecError
from gpuhub.plan import Response

__all__ = ["SyncAnswer", "SyncTransport"]


class SyncTransport:
    """All connections of a process. Safe to share among threads.

    Requests go to httpx's transport rather than through ``Client.send``, which logs whole URLs
    with the tokens in their queries, follows links and keeps cookies.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        def client(connections: int) -> httpx.Client:
            return httpx.Client(**client_options(limits, connections))

        self._pools = Pools(client, limits.max_connections)
        self._url = lru_cache(URLS_KEPT)(httpx.URL)
        self._process = os.getpid()
        self._closed = False

    def exchange(self, outgoing: Outgoing) -> Response:
        """Send one request and read the whole answer, whatever its status.

        Raises:
            ProviderUnavailable: There was no whole answer.
        """
        answer = self.open(outgoing)
        try:
            body = b"".join(answer.chunks())
        finally:
            answer.close()
        return Response(answer.status, answer.headers, body)

    def open(self, outgoing: Outgoing) -> SyncAnswer:
        """Send one request and read the head of the answer. Close what it returns.

        Raises:
            ProviderUnavailable: There was no answer.
        """
        outgoing.require_time()
        file = outgoing.opened()
        pool = self._pools.take()
        try:
            response = self._send(outgoing, pool.client, file)
        except BaseException:
            self._ended(pool)
            raise
        finally:
            if file is not None:  # an answer may come before the whole file was sent
                file.close()
        if isinstance(response, GpuHubError):
            self._ended(pool)
            raise response
        return SyncAnswer(response, outgoing, partial(self._ended, pool, response))

    def _ended(self, pool: Pool[httpx.Client], response: httpx.Response | None = None) -> None:
        self._pools.give_back(pool)
        if self._closed:  # it connected while the others were closed
            pool.client._transport.close()  # noqa: SLF001 - the client itself closes only once
            if response is not None:  # the pool forgot a connection that was being made
                response.extensions["network_stream"].close()

    def _send(
        self, outgoing: Outgoing, client: httpx.Client, file: FileBody | None
    ) -> httpx.Response | GpuHubError:
        """Give the error back, to be raised where nothing in sight holds the credential.

        An error raised in here would refer to the request by its context and its frames.
        """
        try:
            request = httpx.Request(
                outgoing.request.method,
                self._url(outgoing.url),
                headers={**client.headers, **outgoing.headers},
                content=outgoing.content if file is None else file,
                extensions={"timeout": outgoing.timeouts},
            )
            transport = client._transport_for_url(request.url)  # noqa: SLF001
            return transport.handle_request(request)
        except SpecError as error:
            return error
        except httpx.HTTPError as error:
            return failure_of(error, outgoing, phase_of(error))
        except httpx.InvalidURL as error:
            return unsendable(outgoing, error)

    def close(self) -> None:
        """Close all connections. Requests in flight on other threads fail at once."""
        self._closed = True
        for client in self._pools:
            if self._process == os.getpid():  # what a child shuts down is shut for its parent
                _wake(client)
            client.close()


class SyncAnswer:
    """The head of an answer, and its body as it arrives.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
    """

    def __init__(
        self, response: httpx.Response, outgoing: Outgoing, closed: Callable[[], None]
    ) -> None:
        self._response = response
        self._outgoing = outgoing
        self._closed = closed
        self.status = response.status_code
        self.headers = dict(response.headers.items())

    def chunks(self) -> Iterator[bytes]:
        """The decoded body in chunks of any size.

        Raises:
            ProviderUnavailable: It was cut, or the budget ended.
        """
        response, outgoing = self._response, self._outgoing
        failure: ProviderError | None = None
        try:
            for chunk in response.iter_bytes():
                yield chunk
                outgoing.require_time_to_read(response.num_bytes_downloaded)
        except httpx.HTTPError as error:
            received = response.num_bytes_downloaded
            failure = failure_of(error, outgoing, phase_of(error), received)
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""
        try:
            self._response.close()
        finally:
            self._closed()


def _wake(client: httpx.Client) -> None:
    """Wake threads that wait for data, which closing a socket does not."""
    for each in _sockets(client):
        with suppress(OSError):  # the other side was faster
            each.shutdown(socket.SHUT_RDWR)


def _sockets(client: httpx.Client) -> Iterator[socket.socket]:
    """Sockets of the pools, as far as this version of httpx shows them."""
    transports = {client._transport, *client._mounts.values()}  # noqa: SLF001
    for transport in transports:
        for connection in getattr(getattr(transport, "_pool", None), "connections", []):
            inner = getattr(connection, "_connection", None)
            stream = getattr(inner, "_network_stream", None)
            found = None if stream is None else stream.get_extra_info("socket")
            if isinstance(found, socket.socket):
                yield found
