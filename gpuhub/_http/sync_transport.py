"""httpx without a loop."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx

from gpuhub._http.client_options import client_options
from gpuhub._http.failures import failure_of, phase_of, unsendable
from gpuhub._http.outgoing import ConnectionLimits, Outgoing, unreadable
from gpuhub.errors import ProviderError
from gpuhub.plan import Response

__all__ = ["SyncAnswer", "SyncTransport"]

FILE_CHUNK = 262_144


class SyncTransport:
    """One pool of connections. Safe to share among threads.

    Requests go to httpx's transport rather than through ``Client.send``, which logs whole URLs
    with the tokens in their queries, follows links and keeps cookies.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self._client = httpx.Client(**client_options(limits))
        self._headers = dict(self._client.headers)

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
        failure: ProviderError
        try:
            request = self._request(outgoing)
            transport = self._client._transport_for_url(request.url)  # noqa: SLF001
            return SyncAnswer(transport.handle_request(request), outgoing)
        except httpx.HTTPError as error:
            failure = failure_of(error, outgoing, phase_of(error))
        except httpx.InvalidURL as error:
            raise unsendable(outgoing, error) from None
        # Outside the handler: its exception refers to the request and the credentials in it.
        raise failure

    def _request(self, outgoing: Outgoing) -> httpx.Request:
        file = outgoing.file
        return httpx.Request(
            outgoing.request.method,
            outgoing.url,
            headers={**self._headers, **outgoing.headers},
            content=outgoing.content if file is None else _read(file),
            extensions={"timeout": outgoing.timeouts},
        )

    def close(self) -> None:
        """Close all connections. Requests in flight on other threads fail at once."""
        for each in _sockets(self._client):
            # Closing alone does not wake a thread that waits for data.
            with suppress(OSError):  # the other side was faster
                each.shutdown(socket.SHUT_RDWR)
        self._client.close()


class SyncAnswer:
    """The head of an answer, and its body as it arrives.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
    """

    def __init__(self, response: httpx.Response, outgoing: Outgoing) -> None:
        self._response = response
        self._outgoing = outgoing
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
        self._response.close()


def _read(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(FILE_CHUNK):
                yield chunk
    except OSError as error:
        raise unreadable(path, error) from None


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
