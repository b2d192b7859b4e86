"""The aiohttp transport, made safe: see :mod:`gpuhub._http.fast`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport, HttpxAiohttpClient
from typing_extensions import override
from yarl import URL

from gpuhub._http.failures import CONNECTING, WAITING, Phase
from gpuhub._http.fast import SWITCH

__all__ = ["FastTransports"]

_NEVER_SENT = (
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)


class FastTransports:
    """Makes clients over aiohttp and reads its exceptions.

    Attributes:
        errors: What it raises beside httpx's exceptions.
    """

    errors: tuple[type[Exception], ...] = (aiohttp.ClientError,)

    def client(self, options: dict[str, Any]) -> httpx.AsyncClient:
        """Make a client with the arguments of ``httpx.AsyncClient``. Needs a running loop."""
        return _FastClient(**options)

    def happened(self, error: Exception) -> tuple[Exception, Phase] | None:
        """Give aiohttp's own exception and its phase; ``None`` when there is none.

        httpx-aiohttp maps a dropped connection to ``ConnectTimeout``: its classes say nothing.
        """
        cause = error.__cause__ if isinstance(error, httpx.HTTPError) else error
        if not isinstance(cause, aiohttp.ClientError):
            return None
        return cause, CONNECTING if isinstance(cause, _NEVER_SENT) else WAITING


class _FastClient(HttpxAiohttpClient):
    @override
    def _init_transport(self, *args: Any, **options: Any) -> httpx.AsyncBaseTransport:
        return _made_safe(super()._init_transport(*args, **options))

    @override
    def _init_proxy_transport(self, *args: Any, **options: Any) -> httpx.AsyncBaseTransport:
        return _made_safe(super()._init_proxy_transport(*args, **options))

    @override
    async def aclose(self) -> None:
        await super().aclose()
        for transport in (self._transport, *self._mounts.values()):
            requests = getattr(transport, "client", None)
            if isinstance(requests, _Requests):
                await requests.close()


def _made_safe(transport: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
    if isinstance(transport, AiohttpTransport):
        transport.client = cast("Callable[[], aiohttp.ClientSession]", _Requests(transport))
    return transport


class _Requests:
    """Stands in for the session: made in the loop, and sending addresses as they are.

    Left to itself, aiohttp decodes ``%2F`` in queries and ``%3A`` in paths: other bytes than
    httpx sends, and than a signed address was signed with.
    """

    def __init__(self, transport: AiohttpTransport) -> None:
        self._transport = transport
        self._session: aiohttp.ClientSession | None = None

    def __call__(self) -> Self:
        """Give what the transport calls ``request`` on."""
        return self

    def request(self, *, method: str, url: str, **options: Any) -> Any:
        """Send one request with the arguments of ``ClientSession.request``."""
        if self._session is None:
            self._session = _session(self._transport)
        return self._session.request(method, URL(url, encoded=True), **options)

    async def close(self) -> None:
        """Close the session's connections."""
        if self._session is not None:
            await self._session.close()


def _session(transport: AiohttpTransport) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=transport.limits.max_connections or 0,
        keepalive_timeout=transport.limits.keepalive_expiry,
        ssl=transport.ssl_context,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        skip_auto_headers=("Content-Type",),
    )
    setattr(session, SWITCH, False)
    return session
