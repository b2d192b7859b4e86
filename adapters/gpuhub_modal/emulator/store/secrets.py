"""Secrets: values by name, which nobody can read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuhub_modal.emulator.problems import Refused, bad, missing

if TYPE_CHECKING:
    from gpuhub_modal.emulator.site import Site

__all__ = ["Secret", "Secrets"]


@dataclass(slots=True, eq=False)
class Secret:
    """One secret.

    Attributes:
        id: ``st-…``.
        name: Empty for one that an app made for itself.
        environment: Where it is.
        values: Variables.
        created_at: Seconds since the epoch.
        used_at: When a container was last given it.
    """

    id: str
    name: str
    environment: str
    values: dict[str, str] = field(repr=False)
    created_at: float = 0.0
    used_at: float = 0.0


class Secrets:
    """All secrets. Every method needs the lock.

    Args:
        site: What all parts share.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.all: dict[str, Secret] = {}

    def named(self, environment: str, name: str) -> Secret | None:
        """Find a secret by its name."""
        for secret in self.all.values():
            if (secret.environment, secret.name) == (environment, name):
                return secret
        return None

    def get(self, secret_id: str) -> Secret:
        """Give a secret.

        Raises:
            Refused: There is none.
        """
        if secret_id not in self.all:
            raise missing(f"secret {secret_id}")
        return self.all[secret_id]

    def find(self, environment: str, name: str, required: Iterable[str]) -> Secret:
        """Give a secret by name.

        Raises:
            Refused: There is none, or it lacks a key.
        """
        secret = self.named(environment, name)
        if secret is None:
            raise Refused("NOT_FOUND", f"Secret '{name}' not found in environment '{environment}'")
        lacking = sorted(set(required) - set(secret.values))
        if lacking:
            raise Refused("NOT_FOUND", f"Secret '{name}' is missing key(s): {', '.join(lacking)}")
        return secret

    def create(
        self, environment: str, name: str, values: Mapping[str, str], *, replace: bool = False
    ) -> Secret:
        """Make a secret, or replace the values of one.

        Raises:
            Refused: There is one of that name and it is not to be replaced.
        """
        known = self.named(environment, name) if name else None
        if known is not None:
            if not replace:
                raise Refused("ALREADY_EXISTS", f"Secret '{name}' already exists")
            known.values = dict(values)
            return known
        if any(not key for key in values):
            raise bad("a secret's key is empty")
        wall = self._site.wall
        secret = Secret(self._site.new_id("st"), name, environment, dict(values), wall)
        self.all[secret.id] = secret
        return secret

    def delete(self, secret_id: str) -> None:
        """Delete a secret.

        Raises:
            Refused: There is none.
        """
        self.get(secret_id)
        del self.all[secret_id]

    def values(self, secret_id: str) -> dict[str, str]:
        """Give the variables of a secret; none when it was deleted meanwhile."""
        secret = self.all.get(secret_id)
        if secret is None:
            return {}
        secret.used_at = self._site.wall
        return dict(secret.values)
