"""Logging in at a registry: Basic, or Bearer with a token for what is wanted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from pydantic import SecretStr
from typing_extensions import override

from gpuhub.adapter import Io
from gpuhub.errors import AuthFailed, MalformedResponse
from gpuhub.oci.answers import TAKEN, error_of
from gpuhub.oci.challenges import Challenge, read_challenges
from gpuhub.oci.credentials import RegistryCredentials
from gpuhub.oci.site import Site
from gpuhub.plan import Request, Response, Retry

__all__ = ["Authorization", "SecretHeaders", "pull", "push"]

# What the token protocol prescribes when a server does not say.
_TOKEN_SECONDS = 60.0
# A token is renewed this much before its end, so that it holds while a request travels.
_MARGIN_SECONDS = 10.0


def pull(repository: str) -> str:
    """The scope for reading."""
    return f"repository:{repository}:pull"


def push(repository: str) -> str:
    """The scope for reading and writing."""
    return f"repository:{repository}:pull,push"


class SecretHeaders(dict[str, str]):
    """Headers that do not print."""

    @override
    def __repr__(self) -> str:
        """Show the names only."""
        return f"<headers {', '.join(self)}>"


@dataclass(frozen=True, slots=True)
class _Token:
    value: SecretStr
    until: float


class Authorization:
    """The login of one push at one registry.

    Args:
        io: Fetches tokens.
        site: The registry.
        credentials: ``None``: anonymous.
    """

    def __init__(self, io: Io, site: Site, credentials: RegistryCredentials | None) -> None:
        self._io = io
        self._site = site
        self._credentials = credentials
        self._challenge: Challenge | None = None
        self._tokens: dict[frozenset[str], _Token] = {}

    @override
    def __repr__(self) -> str:
        """Show the registry; nothing secret."""
        return f"<Authorization {self._site.registry}>"

    @property
    def is_anonymous(self) -> bool:
        """Whether no login was given."""
        return self._credentials is None

    async def headers(self, scopes: Iterable[str]) -> SecretHeaders:
        """What to send along, by what the registry asked for so far.

        Raises:
            AuthFailed: The login is missing or refused.
        """
        if self._challenge is None:
            return SecretHeaders()
        if self._challenge.scheme == "basic":
            return self._basic()
        asked = self._challenge.values.get("scope", "").split()
        token = await self._token(frozenset([*scopes, *asked]))
        return SecretHeaders(authorization=f"Bearer {token.value.get_secret_value()}")

    def learn(self, response: Response) -> bool:
        """Read what a 401 asks for, and tell whether :meth:`headers` may now do better."""
        challenges = read_challenges(response.headers.get("www-authenticate", ""))
        known = {challenge.scheme: challenge for challenge in reversed(challenges)}
        chosen = known.get("bearer") or known.get("basic")
        if chosen is None:
            return False
        was_basic = self._challenge is not None and self._challenge.scheme == "basic"
        self._challenge = chosen
        self._tokens.clear()  # one that was refused may have ended early
        return chosen.scheme == "bearer" or not (was_basic or self._credentials is None)

    def scrubbed(self, text: str) -> str:
        """A text without the password, in the clear or encoded, and without the tokens."""
        secrets = [token.value.get_secret_value() for token in self._tokens.values()]
        if self._credentials is not None:
            encoded = self._credentials.basic().removeprefix("Basic ")
            secrets += [encoded, self._credentials.password.get_secret_value()]
        for secret in filter(None, secrets):
            text = text.replace(secret, "***")
        return text

    def _basic(self) -> SecretHeaders:
        if self._credentials is None:
            return SecretHeaders()
        return SecretHeaders(authorization=self._credentials.basic())

    async def _token(self, scopes: frozenset[str]) -> _Token:
        token = self._tokens.get(scopes)
        if token is None or self._io.now() > token.until:
            token = self._tokens[scopes] = await self._fetched(scopes)
        return token

    async def _fetched(self, scopes: frozenset[str]) -> _Token:
        url = self._realm()
        values = {} if self._challenge is None else self._challenge.values
        query = [("service", values["service"])] if "service" in values else []
        query += [("scope", scope) for scope in sorted(scopes)]
        request = Request(
            "GET",
            f"{url}{'&' if '?' in url else '?'}{urlencode(query)}",
            origin="",
            headers=self._basic(),
            retry=Retry.SAFE,
            accept=TAKEN,
        )
        asked = self._io.now()
        return self._read(await self._io.send(request), asked)

    def _read(self, response: Response, asked: float) -> _Token:
        registry = self._site.registry
        if response.status != 200:
            error = error_of(response, doing="logging in at", registry=registry, repository="")
            raise type(error)(
                self.scrubbed(error.message),
                next_step=f"check the username and password for {registry}",
                status=error.status,
                code=error.code,
            )
        body = response.json()
        value = (body.get("token") or body.get("access_token")) if isinstance(body, dict) else None
        if not isinstance(value, str) or not (value.isascii() and value.isprintable()):
            raise MalformedResponse(
                f"the login service of {registry} answered without a token",
                next_step="check that the registry's address is right",
            )
        seconds = body.get("expires_in")
        lasts = float(seconds) if isinstance(seconds, int | float) and seconds > 0 else 0.0
        until = asked + max(lasts, _TOKEN_SECONDS) - _MARGIN_SECONDS
        return _Token(SecretStr(value), until)

    def _realm(self) -> str:
        realm = "" if self._challenge is None else self._challenge.values.get("realm", "")
        if not realm:
            raise AuthFailed(
                f"the registry {self._site.registry} asks for a token and does not say where to"
                " get one",
                next_step="check that the registry's address is right",
            )
        url = self._site.link(self._site.url, realm)
        if urlsplit(url).username is not None:
            raise MalformedResponse(
                f"the registry {self._site.registry} names a login service with a password in it",
                next_step="report it to the registry's operator",
            )
        return url
