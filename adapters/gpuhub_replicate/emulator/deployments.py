"""Deployments and their releases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.models import Version
    from gpuhub_replicate.emulator.pool import Pool

__all__ = ["Deployment", "Release"]


@dataclass(frozen=True, slots=True)
class Release:
    """One release.

    Attributes:
        number: 1, 2, …
        version: What it runs.
        hardware: SKU.
        min_instances: At least so many workers.
        max_instances: At most so many; 0 is off.
        created_at: As the API shows it.
    """

    number: int
    version: Version
    hardware: str
    min_instances: int
    max_instances: int
    created_at: str


@dataclass(slots=True, eq=False)
class Deployment:
    """One deployment.

    Attributes:
        owner: The account.
        name: Unique within the account.
        model: ``owner/name``; for good.
        pool: Its workers and queue.
        account: Who releases, as the API shows it.
        releases: Oldest first.
        offline_since: Clock seconds since when it has no worker and may have none; ``None``: it
            may.
    """

    owner: str
    name: str
    model: str
    pool: Pool
    account: dict[str, Any]
    releases: list[Release] = field(default_factory=list)
    offline_since: float | None = None

    @property
    def path(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    @property
    def release(self) -> Release:
        """The current one."""
        return self.releases[-1]

    def shown(self) -> dict[str, Any]:
        """Give the API's description."""
        release = self.release
        return {
            "owner": self.owner,
            "name": self.name,
            "current_release": {
                "number": release.number,
                "model": self.model,
                "version": release.version.id,
                "created_at": release.created_at,
                "created_by": self.account,
                "configuration": {
                    "hardware": release.hardware,
                    "min_instances": release.min_instances,
                    "max_instances": release.max_instances,
                },
            },
        }
