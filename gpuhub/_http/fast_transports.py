"""The aiohttp transport, made safe: see :mod:`gpuhub._http.fast`."""

from __future__ import annotations

from functools import partial
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport, HttpxAiohttpClient
from typing_extensions import override

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

    def phase_of(self, error: Exception) -> Phase | None:
        """In which phase it happened, by aiohttp's own exception; ``None`` when there is none.

        httpx-aiohttp maps a dropped connection to ``ConnectTimeout``: its classes say nothing.
        """
        cause = error.__cause__ if isinstance(error, httpx.HTTPError) else error
        if not isinstance(cause, aiohttp.ClientError):
            return None
        return CONNECTING if isinstance(cause, _NEVER_SENT) else WAITING


class _FastClient(HttpxAiohttpClient):
    @override
    def _init_transport(self, *args: Any, **options: Any) -> httpx.AsyncBaseTransport:
        return _made_safe(super()._init_transport(*args, **options))

    @override
    def _init_proxy_transport(self, *args: Any, **options: Any) -> httpx.AsyncBaseTransport:
        return _made_safe(super()._init_proxy_transport(*args, **options))


def _made_safe(transport: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
    if isinstance(transport, AiohttpTransport):
        transport.client = partial(_session, transport)
    return transport


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
