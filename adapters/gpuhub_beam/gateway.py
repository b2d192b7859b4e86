"""What the adapter asks the gateway all the time: the workspace, and a name's releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub_beam import wire
from gpuhub_beam.errors import document, member
from gpuhub_beam.releases import current, parts_of, releases_of

if TYPE_CHECKING:
    from gpuhub.adapter import Io
    from gpuhub_beam.releases import Part, Release

__all__ = ["Gateway", "Name"]


class Gateway:
    """One gateway and one workspace of it. Safe to share among threads.

    Args:
        base_url: Its address, for the URLs of deployments.
        workspace: External id of the workspace; empty: the token's, asked for once.
    """

    def __init__(self, base_url: str, workspace: str = "") -> None:
        self.base_url = base_url
        self._workspace = workspace

    async def workspace(self, io: Io) -> str:
        """Give the workspace's external id."""
        if not self._workspace:
            found = document(await io.send(wire.get_workspace()))
            self._workspace = str(member(found, "external_id", str))
        return self._workspace

    async def look(self, io: Io, name: str) -> Name:
        """Give all that is deployed under a name."""
        workspace = await self.workspace(io)
        listing = (await io.send(wire.list_deployments(workspace, name))).json()
        return Name(parts_of(listing, name))


class Name:
    """All versions of one name.

    Args:
        parts: Beam's deployments, newest first.
    """

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts
        self.releases = releases_of(parts)

    @property
    def ours(self) -> list[Release]:
        """Those that gpuhub made."""
        return [release for release in self.releases if release.main.is_ours]

    def serving(self) -> Release | None:
        """What gpuhub deployed and is active, the newest."""
        return current(self.ours)

    def newest_active(self, kind: str = "") -> Release | None:
        """The newest active version, whoever made it."""
        return current([each for each in self.releases if kind in ("", each.main.kind)])

    def find(self, version: str) -> Release | None:
        """One version."""
        return current(self.releases, version) if version else None

    def left_running(self, release: Release) -> list[Part]:
        """Active parts of gpuhub's that do not belong to a release."""
        kept = {part.id for part in release.parts}
        return [part for part in self.parts if part.is_ours and part.active and part.id not in kept]
