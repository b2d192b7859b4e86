"""Who may push and pull: Basic, or Bearer with a token for what is wanted."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from gpuhub_replicate.emulator.problems import RegistryProblem
from gpuhub_replicate.emulator.registry.base import BASE
from gpuhub_replicate.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.account import Account

__all__ = ["Login"]

_SERVICE = "r8.im"
_TOKEN_S = 300
_SCOPE = re.compile(r"^repository:([^:]+):([a-z,*]+)$")


class Login:
    """The registry's door.

    Args:
        account: Whose images may be pushed.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._options = account.site.options
        self._tokens: dict[str, frozenset[tuple[str, str]]] = {}

    async def verify(self, request: Request) -> Answer:
        """``POST /cog/v1/verify-token``: whose is this token?"""
        token = dict(parse_qsl(request.body.decode("utf-8", "replace"))).get("token", "")
        if not self._is_known(token):
            raise RegistryProblem(404, "NOT_FOUND", "unknown token")
        return Answer.of({"username": self._account.owner})

    async def token(self, request: Request) -> Answer:
        """``GET /token``: a token for scopes, with Basic, or for reading base images."""
        scopes = [value for name, value in parse_qsl(request.raw_query) if name == "scope"]
        is_known = self._is_basic(request)
        if not is_known and request.headers.get("authorization"):
            raise self._refusal("invalid username or password")
        granted = set()
        for scope in scopes:
            if match := _SCOPE.match(scope):
                actions = match[2].split(",") if is_known else ["pull"]
                if is_known or match[1] == BASE:
                    granted |= {(match[1], action) for action in actions}
        token = secrets.token_hex(16)
        self._tokens[token] = frozenset(granted)
        return Answer.of({"token": token, "expires_in": _TOKEN_S})

    def require(self, request: Request, repository: str, action: str) -> None:
        """Let a request through, or not.

        Args:
            request: It.
            repository: What it is about; empty: the registry itself.
            action: ``pull`` or ``push``.

        Raises:
            RegistryProblem: 401 without a login, 403 for what is somebody else's.
        """
        is_open = repository == BASE and action == "pull"
        if self._options.registry_login == "none" or is_open:
            return
        given = request.headers.get("authorization", "")
        if self._options.registry_login == "basic":
            if not self._is_basic(request):
                raise self._refusal("authentication required")
            return
        scopes = self._tokens.get(given.removeprefix("Bearer "))
        if scopes is None or (repository and (repository, action) not in scopes):
            raise self._refusal("authentication required", repository, action)

    def _is_basic(self, request: Request) -> bool:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            name, _, password = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return name == self._account.owner and self._is_known(password)

    def _is_known(self, token: str) -> bool:
        accepted = self._options.registry_tokens or self._options.tokens
        return bool(token) and (not accepted or token in accepted)

    def _refusal(self, words: str, repository: str = "", action: str = "") -> RegistryProblem:
        if self._options.registry_login == "basic":
            challenge = f'Basic realm="{_SERVICE}"'
        else:
            realm = f"{self._account.site.url}/token"
            challenge = f'Bearer realm="{realm}",service="{_SERVICE}"'
            if repository:
                actions = "pull,push" if action == "push" else "pull"
                challenge += f',scope="repository:{repository}:{actions}"'
        return RegistryProblem(401, "UNAUTHORIZED", words, {"WWW-Authenticate": challenge})
