"""What may be said about a request in an error or a log: no query, no header, no secret."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import SecretStr

from gpuhub.settings import ProviderSettings

__all__ = ["address", "host_and_port", "redacted"]

PORTS = {"http": 80, "https": 443}
SHORTEST_SECRET = 4
"""Shorter values would blank out ordinary words, and are no secrets."""


def redacted(text: str, settings: ProviderSettings) -> str:
    """The text with every secret of the provider's settings replaced by ``***``."""
    for secret in _secrets(settings):
        text = text.replace(secret, "***")
    return text


def _secrets(settings: ProviderSettings) -> Iterator[str]:
    kept = (*settings.secrets.values(), *settings.values.values())
    for value in kept:
        if isinstance(value, SecretStr) and len(value.get_secret_value()) >= SHORTEST_SECRET:
            yield value.get_secret_value()


def address(url: str) -> str:
    """A URL for people: scheme, host, port and path; no user, password, query or fragment."""
    return f"{urlsplit(url).scheme}://{host_and_port(url)}{urlsplit(url).path}"


def host_and_port(url: str) -> str:
    """``host:port`` of a URL, with the scheme's own port where none is written."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port or PORTS.get(parts.scheme, 0)}"
