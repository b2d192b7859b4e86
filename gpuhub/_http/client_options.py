"""What all our HTTP clients have in common."""

from __future__ import annotations

import os
import ssl
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import httpx

from gpuhub._http.outgoing import ConnectionLimits

__all__ = ["URLS_KEPT", "client_options"]

URLS_KEPT = 64
"""Parsed addresses that a transport keeps: most calls go to the same few."""


def client_options(limits: ConnectionLimits, connections: int) -> dict[str, Any]:
    """Arguments for an ``httpx.Client`` or ``httpx.AsyncClient`` of so many connections."""
    return {
        "verify": _tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")),
        "limits": httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=limits.keepalive_s,
        ),
        "follow_redirects": False,  # a credential must not follow them
        "headers": {"User-Agent": f"gpuhub/{_own_version()}"},
    }


@cache
def _tls_context(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Share one among all clients: reading the authorities takes 30 ms."""
    del file, folder  # httpx reads them from the environment: they are the key of the cache
    return httpx.create_ssl_context()


@cache
def _own_version() -> str:
    try:
        return version("gpuhub-sdk")
    except PackageNotFoundError:
        return "0"
