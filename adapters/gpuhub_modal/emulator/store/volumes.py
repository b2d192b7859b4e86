"""Volumes: folders by name, seen by all containers that mount them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub_modal.emulator.problems import Refused, bad, missing

if TYPE_CHECKING:
    from gpuhub_modal.emulator.site import Site

__all__ = ["Volume", "Volumes"]


@dataclass(slots=True, eq=False)
class Volume:
    """One volume.

    Attributes:
        id: ``vo-…``.
        name: Empty for an ephemeral one.
        environment: Where it is.
        version: Modal's ``VolumeFsVersion``; only the first is played.
        created_at: Seconds since the epoch.
        folder: Its files.
    """

    id: str
    name: str
    environment: str
    version: int
    created_at: float
    folder: Path

    def path(self, name: str) -> Path:
        """Give where a file is.

        Raises:
            Refused: The name leads out of the volume.
        """
        parts = Path(name.lstrip("/")).parts
        if ".." in parts:
            raise bad(f"path {name!r} leads out of the volume")
        return self.folder.joinpath(*parts)


class Volumes:
    """All volumes. Every method needs the lock.

    Args:
        site: What all parts share.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.all: dict[str, Volume] = {}

    def named(self, environment: str, name: str) -> Volume | None:
        """Find a volume by its name."""
        for volume in self.all.values():
            if (volume.environment, volume.name) == (environment, name):
                return volume
        return None

    def get(self, volume_id: str) -> Volume:
        """Give a volume.

        Raises:
            Refused: There is none.
        """
        if volume_id not in self.all:
            raise missing(f"volume {volume_id}")
        return self.all[volume_id]

    def create(self, environment: str, name: str, version: int) -> Volume:
        """Make a volume.

        Raises:
            Refused: There is one of that name.
        """
        if name and self.named(environment, name) is not None:
            raise Refused("ALREADY_EXISTS", f"Volume '{name}' already exists")
        volume_id = self._site.new_id("vo")
        folder = self._site.folder / "volumes" / volume_id
        folder.mkdir(parents=True)
        volume = Volume(volume_id, name, environment, version, self._site.wall, folder)
        self.all[volume_id] = volume
        return volume

    def rename(self, volume_id: str, name: str) -> None:
        """Give a volume another name.

        Raises:
            Refused: There is no such volume, or another has that name.
        """
        volume = self.get(volume_id)
        if self.named(volume.environment, name) is not None:
            raise Refused("ALREADY_EXISTS", f"Volume '{name}' already exists")
        volume.name = name

    def delete(self, volume_id: str) -> None:
        """Delete a volume with its files.

        Raises:
            Refused: There is none.
        """
        volume = self.get(volume_id)
        del self.all[volume_id]
        shutil.rmtree(volume.folder, ignore_errors=True)

    def folders(self, sent: Any) -> dict[str, str]:
        """Give the folder of each mount of a function: nobody may mount one in this machine's root.

        Args:
            sent: Modal's ``Function``.
        """
        found: dict[str, str] = {}
        for mount in sent.volume_mounts:
            if mount.volume_id in self.all:
                folder = self.all[mount.volume_id].path(mount.sub_path)
                folder.mkdir(parents=True, exist_ok=True)
                found[mount.mount_path] = str(folder)
        for bucket in sent.cloud_bucket_mounts:
            folder = self._site.folder / "buckets" / bucket.bucket_name / bucket.key_prefix
            folder.mkdir(parents=True, exist_ok=True)
            found[bucket.mount_path] = str(folder)
        return found
