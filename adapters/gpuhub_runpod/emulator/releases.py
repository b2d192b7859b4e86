"""Releases: each change of what a worker runs, or runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Release", "difference", "makes_release"]

FIELDS: Mapping[str, str] = {
    "image": "template.imageName",
    "args": "template.dockerArgs",
    "env": "template.env",
    "disk": "template.containerDiskInGb",
    "ports": "template.ports",
    "registry": "template.containerRegistryAuthId",
    "gpu": "gpu",
    "cpu": "cpu",
    "dataCenterIds": "locations",
    "networkVolumes": "networkVolumeIds",
    "flashboot": "flashBootType",
}
"""Fields whose change makes a release, by the name that its ``diff`` gives them.

``template.imageName`` and ``locations`` are documented examples; the other names are guesses in
their manner.
"""


@dataclass(slots=True, eq=False)
class Release:
    """One configuration.

    Attributes:
        id: ``rel_…``.
        version: 1, 2, …
        created_at: Seconds since the epoch.
        config: All fields of the endpoint at that time.
        diff: What changed against the release before.
        is_broken: Its container dies at the start.
    """

    id: str
    version: int
    created_at: float
    config: dict[str, Any]
    diff: list[dict[str, Any]]
    is_broken: bool = False

    def shown(self, created_at: str, workers: int) -> dict[str, Any]:
        """Give RunPod's description."""
        return {
            "id": self.id,
            "version": self.version,
            "source": "MANUAL",
            "buildId": None,
            "createdByUserId": None,
            "workerCount": workers,
            "createdAt": created_at,
            "diff": self.diff,
        }


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the ``diff`` between two configurations; empty when it would be no release."""
    return [
        {"field": name, "old": old.get(key), "new": new.get(key)}
        for key, name in FIELDS.items()
        if old.get(key) != new.get(key)
    ]


def makes_release(fields: Mapping[str, Any]) -> bool:
    """Whether a change of these fields may make a release."""
    return any(name in FIELDS or name == "templateId" for name in fields)
