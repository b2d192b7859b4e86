"""Where a registry is, and where its credential may go."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urljoin, urlsplit

from gpuhub.errors import MalformedResponse
from gpuhub.oci.reference import DOCKER_HUB

__all__ = ["Site"]

_HUB_API = "registry-1.docker.io"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Site:
    """The address of one registry.

    Attributes:
        registry: As in a reference.
        url: Base URL, without a slash at its end.
        insecure: Whether plain HTTP to other machines is allowed.
    """

    registry: str
    url: str
    insecure: bool = False

    @classmethod
    def of(cls, registry: str, *, insecure: bool = False) -> Site:
        """The address of a registry: plain HTTP on this machine or when allowed, else HTTPS."""
        host = _HUB_API if registry == DOCKER_HUB else registry
        plain = insecure or _is_loopback(urlsplit(f"//{host}").hostname or "")
        return cls(registry, f"{'http' if plain else 'https'}://{host}", insecure)

    def link(self, base: str, location: str) -> str:
        """The whole URL of a link in an answer.

        Args:
            base: What was asked.
            location: The link, relative or whole.

        Raises:
            MalformedResponse: It is no link, or leads to another machine over plain HTTP.
        """
        try:
            url = urljoin(base, location)
            parts = urlsplit(url)
            usable = bool(location and parts.hostname) and parts.scheme in _PORTS
        except ValueError:
            usable = False
        if not usable:
            raise MalformedResponse(
                f"the registry {self.registry} answered with a link that is none",
                next_step="report it to the registry's operator",
            )
        if parts.scheme == "http" and not self._may_be_plain(parts.hostname or ""):
            raise MalformedResponse(
                f"the registry {self.registry} links to {parts.hostname} over plain http",
                next_step="let the proxy before the registry pass on X-Forwarded-Proto: https",
            )
        return url

    def _may_be_plain(self, host: str) -> bool:
        return self.insecure or (self.url.startswith("http:") and _is_loopback(host))

    def is_own(self, url: str) -> bool:
        """Whether a URL is at the registry itself, so that its credential may go there."""
        return _origin(urlsplit(url)) == _origin(urlsplit(self.url))


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
