"""Where a request goes, and which credential may go with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import SecretStr

from gpuhub._http.redaction import PORTS, host_and_port
from gpuhub.adapter import AdapterInfo, Origin
from gpuhub.errors import ConfigError, MalformedResponse, SpecError
from gpuhub.settings import ProviderSettings

__all__ = ["Origins", "own_headers"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^`|~\w]+", re.ASCII)
_PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")


@dataclass(slots=True, repr=False)
class Origins:
    """The base URLs of one provider under its settings. Holds no secret."""

    info: AdapterInfo
    settings: ProviderSettings
    _bases: dict[str, str] = field(default_factory=dict)

    def url(self, origin: str, path: str) -> str:
        """The whole URL, without the request's query.

        Args:
            origin: Name of the origin; empty when ``path`` is a whole URL.
            path: Path below the base URL. A whole URL is taken when it stays at the origin, as
                the links in a provider's answers do.

        Raises:
            ConfigError: No such origin, or its base URL cannot be used.
            MalformedResponse: A whole URL that leads elsewhere, where the origin's credential
                must not go.
        """
        if not origin:
            return self._checked(path, "the address of a request")
        base = self.base(origin)
        if "://" in path.partition("?")[0]:
            return self._same_origin(path, base, origin)
        if place := _PLACE.search(base):
            raise self._unfilled(origin, place[1])
        return f"{base}/{path.lstrip('/')}" if path else base

    def base(self, name: str) -> str:
        """The base URL of an origin, without a slash at its end."""
        if name not in self._bases:
            origin = self.named(name)
            url = self.settings.get(origin.setting) or self._filled(origin)
            where = f"providers.{self.info.name}.{origin.setting}"
            self._bases[name] = self._checked(str(url), where).rstrip("/")
        return self._bases[name]

    def named(self, name: str) -> Origin:
        """The declaration of an origin."""
        for origin in self.info.origins:
            if origin.name == name:
                return origin
        known = ", ".join(origin.name for origin in self.info.origins) or "none"
        raise ConfigError(
            f"the adapter {self.info.name} has no origin {name!r}; it declares: {known}",
            next_step="report it to the adapter's author",
            provider=self.info.name,
        )

    def credential_headers(self, name: str) -> dict[str, str]:
        """The origin's headers with the credentials filled in; for sending only, never kept.

        Raises:
            MissingCredentials: A required credential is not set.
            ConfigError: A credential holds what a header cannot carry.
        """
        templates = self.named(name).headers
        # All are looked up first: no frame of an error about one holds another in the clear.
        found = {each: self._credential(each) for each in _places(*templates.values())}
        return {
            header.lower(): _PLACE.sub(lambda match: _clear(found[match[1]]), template)
            for header, template in templates.items()
            if all(found[each] is not None for each in _places(template))
        }

    def variables(self, name: str) -> list[str]:
        """Environment variables of the credentials that an origin takes; all when it has none."""
        used = _places(*self.named(name).headers.values()) if name else set()
        chosen = [each.env for each in self.info.credentials if each.name in used]
        return chosen or [each.env for each in self.info.credentials]

    def _credential(self, name: str) -> SecretStr | None:
        """A credential; ``None`` for one that is optional and not set."""
        declared = {each.name: each for each in self.info.credentials}.get(name)
        if declared and not declared.required and name not in self.settings.secrets:
            return None
        credential = self.settings.credential(name)
        # Checked here because libraries quote the value when they refuse it.
        if not _fits_a_header(credential):
            env = declared.env if declared else name
            raise ConfigError(
                f"{env} holds a line end, a control or a non-ASCII character, which no header"
                " can carry",
                next_step=f"set {env} again, without quotes or line ends",
                provider=self.info.name,
            )
        return credential

    def _filled(self, origin: Origin) -> str:
        def value(match: re.Match[str]) -> str:
            found = self.settings.get(match[1])
            return match[0] if found is None else str(found)

        return _PLACE.sub(value, origin.default)

    def _unfilled(self, name: str, place: str) -> ConfigError:
        return ConfigError(
            f"the {name} address of {self.info.title} needs"
            f" providers.{self.info.name}.{place}, which is not set",
            next_step=f"set {place} in [providers.{self.info.name}] of gpuhub.toml",
            provider=self.info.name,
        )

    def _checked(self, url: str, where: str) -> str:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port that is no number, an unclosed [
            usable = False
        if not usable:
            shown = url.partition("?")[0]
            if "@" in shown:
                shown = "one with a user and password"
            raise ConfigError(
                f"{where} must be an http:// or https:// URL with a host (got {shown!r})",
                next_step=f"correct {where}",
                provider=self.info.name,
            )
        return url

    def _same_origin(self, url: str, base: str, name: str) -> str:
        self._checked(url, f"a link for the origin {name!r}")
        here = (urlsplit(base).scheme, host_and_port(base))
        there = (urlsplit(url).scheme, host_and_port(url))
        if here[0] != there[0] or not _is_host_of(there[1], here[1]):
            raise MalformedResponse(
                f"{self.info.title} links to {there[1]}, which is not its {name} address"
                f" {here[1]}: the credential is not sent there",
                next_step=f"check [providers.{self.info.name}] in gpuhub.toml, or the link",
                provider=self.info.name,
            )
        return url


def _is_host_of(host: str, template: str) -> bool:
    """Whether it is the template's host; a ``{place}`` stands for a part of one label."""
    fixed = map(re.escape, re.split(r"\{\w+\}", template))
    return re.fullmatch("[a-z0-9-]+".join(fixed), host) is not None


def _places(*templates: str) -> set[str]:
    return {name for template in templates for name in _PLACE.findall(template)}


def _clear(credential: SecretStr | None) -> str:
    return "" if credential is None else credential.get_secret_value()


def _fits_a_header(credential: SecretStr) -> bool:
    value = credential.get_secret_value()
    return value.isascii() and value.isprintable()


def own_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """A request's own headers, with names in lower case so that none is there twice.

    Raises:
        SpecError: A header that cannot be sent; clients either quote its value or send it.
    """
    for name, value in headers.items():
        if not (_TOKEN.fullmatch(name) and value.isascii() and value.isprintable()):
            raise SpecError(
                f"the header {name!r} cannot be sent: its name or value holds a line end, a"
                " control or a non-ASCII character",
                next_step="encode the value first",
            )
    return {name.lower(): value for name, value in headers.items()}
