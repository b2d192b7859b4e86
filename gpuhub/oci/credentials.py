"""Logins of registries, given or read from Docker's own file."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from gpuhub.errors import ConfigError
from gpuhub.oci.reference import DOCKER_HUB

__all__ = ["RegistryCredentials", "docker_credentials"]

_HUB_KEYS = {"docker.io", "index.docker.io", "registry-1.docker.io"}
_HUB_HELPER_KEY = "https://index.docker.io/v1/"
_HELPER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    """A login. Printing it shows no password.

    Attributes:
        username: Without a colon.
        password: Password or access token.
    """

    username: str
    password: SecretStr

    def __post_init__(self) -> None:
        if ":" in self.username:
            raise ConfigError(
                "the username of a registry must not contain ':'",
                next_step="pass username and password apart",
            )

    def basic(self) -> str:
        """The value of an ``Authorization`` header. For sending only, never kept."""
        pair = f"{self.username}:{self.password.get_secret_value()}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"


def docker_credentials(
    registry: str, config: Path | None = None, *, run_helpers: bool = False
) -> RegistryCredentials | None:
    """Read the login that ``docker login`` left for a registry.

    Args:
        registry: Such as ``"docker.io"``.
        config: Docker's file. Default: ``config.json`` in ``$DOCKER_CONFIG`` or ``~/.docker``.
        run_helpers: Also start the credential helper that the file names. Blocks.

    Returns:
        ``None`` when the file is missing or has no login for this registry.

    Raises:
        ConfigError: The file cannot be read, or holds something other than a password.
    """
    place = config or Path(
        os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker", "config.json"
    )
    content = _read(place)
    entries = content.get("auths")
    for key, entry in (entries if isinstance(entries, dict) else {}).items():
        if _host(key) in _names(registry) and isinstance(entry, dict):
            found = _from_entry(entry, registry, place)
            if found is not None:
                return found
    return _from_helper(content, registry) if run_helpers else None


def _read(place: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(place.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise ConfigError(
            f"{place}, the file of Docker's logins, cannot be read: {reason}",
            next_step="repair it, or run `docker login` again",
        ) from None
    return content if isinstance(content, dict) else {}


def _from_entry(entry: Mapping[str, Any], registry: str, place: Path) -> RegistryCredentials | None:
    if entry.get("identitytoken"):
        raise _identity_token(registry)
    username, password = entry.get("username"), entry.get("password")
    if not (username and password) and entry.get("auth"):
        try:
            pair = base64.b64decode(str(entry["auth"]), validate=True).decode()
        except ValueError:
            raise ConfigError(
                f"{place} holds a login for {registry} that cannot be decoded",
                next_step=f"run `docker login {registry}` again",
            ) from None
        username, _, password = pair.partition(":")
    if not (username and password):
        return None
    return RegistryCredentials(str(username), SecretStr(str(password).rstrip("\0")))


def _from_helper(content: Mapping[str, Any], registry: str) -> RegistryCredentials | None:
    helpers = content.get("credHelpers")
    named = helpers if isinstance(helpers, dict) else {}
    helper = next((named[name] for name in _names(registry) if name in named), None)
    helper = helper or content.get("credsStore")
    if not helper:
        return None
    answer = _ask(str(helper), _HUB_HELPER_KEY if registry == DOCKER_HUB else registry)
    username, password = answer.get("Username"), answer.get("Secret")
    if username == "<token>":
        raise _identity_token(registry)
    if not (username and password):
        return None
    return RegistryCredentials(str(username), SecretStr(str(password)))


def _ask(helper: str, key: str) -> Mapping[str, Any]:
    """Docker's protocol: the registry on standard input, JSON on standard output."""
    command = f"docker-credential-{helper}"
    try:
        done = subprocess.run(  # noqa: S603 - named by the user's own file, and asked for
            [command, "get"],
            input=key,
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(
            f"the credential helper {command} did not run: {type(error).__name__}",
            next_step=f"install {command}, or pass the registry's username and password",
        ) from None
    try:
        answer = json.loads(done.stdout) if done.returncode == 0 else {}
    except ValueError:
        answer = {}
    return answer if isinstance(answer, dict) else {}


def _identity_token(registry: str) -> ConfigError:
    return ConfigError(
        f"Docker's login for {registry} is an identity token, which gpuhub cannot use",
        next_step="pass a username with a password or access token",
    )


def _names(registry: str) -> frozenset[str]:
    return frozenset(_HUB_KEYS if registry == DOCKER_HUB else {registry})


def _host(key: str) -> str:
    """The host of a key of the file, which may be a URL with a path."""
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]
