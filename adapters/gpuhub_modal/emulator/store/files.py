"""Blobs by id, and mounts: sets of files by name, each by the digest of its content."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub_modal.emulator.problems import bad, missing

if TYPE_CHECKING:
    from gpuhub_modal.emulator.site import Site

__all__ = ["Blob", "Files", "MountedFile"]

_READABLE = 0o644


@dataclass(slots=True, eq=False)
class Blob:
    """One blob.

    Attributes:
        id: ``bl-…``.
        size: Bytes that were announced.
        md5: Base64 of their digest, as announced.
        content: The bytes, once uploaded.
    """

    id: str
    size: int
    md5: str
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class MountedFile:
    """One file of a mount.

    Attributes:
        name: Absolute path in the container.
        digest: Hexadecimal SHA-256 of its content.
        mode: Permissions.
    """

    name: str
    digest: str
    mode: int


class Files:
    """Blobs and mounts. Every method needs the lock.

    Args:
        site: What all parts share.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.blobs: dict[str, Blob] = {}
        self.mounts: dict[str, tuple[MountedFile, ...]] = {}
        self._named: dict[tuple[int, str, str], str] = {}
        self._contents: dict[str, bytes] = {}

    def new_blob(self, size: int, md5: str) -> Blob:
        """Announce a blob.

        Raises:
            Refused: It is larger than may be.
        """
        most = self._site.options.blob_bytes
        if size > most:
            raise bad(f"a blob has at most {most} bytes here (got {size})")
        blob = Blob(self._site.new_id("bl"), size, md5)
        self.blobs[blob.id] = blob
        return blob

    def keep(self, content: bytes) -> str:
        """Make a blob of these bytes, to be downloaded; give its id."""
        blob = self.new_blob(len(content), "")
        blob.content = content
        return blob.id

    def upload(self, blob_id: str, content: bytes) -> str | None:
        """Take the bytes of a blob; give their MD5, or ``None`` if they are not what was announced.

        Raises:
            Refused: There is no such blob.
        """
        blob = self.blobs.get(blob_id)
        if blob is None:
            raise missing(f"blob {blob_id}")
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        if blob.md5 and base64.b64encode(digest).decode() != blob.md5:
            return None
        blob.content = content
        return digest.hex()

    def blob_content(self, blob_id: str) -> bytes:
        """Give the bytes of a blob.

        Raises:
            Refused: There is no such blob, or it was never uploaded.
        """
        blob = self.blobs.get(blob_id)
        if blob is None or blob.content is None:
            raise missing(f"blob {blob_id}")
        return blob.content

    def lacking(self, digests: Iterable[str]) -> list[str]:
        """Give the digests whose content is not here."""
        return [each for each in digests if each not in self._contents]

    def put(self, digest: str, content: bytes) -> None:
        """Keep the content of a file.

        Raises:
            Refused: It has another digest.
        """
        if hashlib.sha256(content).hexdigest() != digest:
            raise bad(f"the content does not have the SHA-256 {digest}")
        self._contents[digest] = content

    def content(self, digest: str) -> bytes:
        """Give the content of a file.

        Raises:
            Refused: It is not here.
        """
        if digest not in self._contents:
            raise missing(f"file {digest}")
        return self._contents[digest]

    def mount(self, files: Iterable[MountedFile]) -> str:
        """Make a mount; give its id.

        Raises:
            Refused: The content of a file was never uploaded.
        """
        found = tuple(sorted(files, key=lambda each: each.name))
        lacking = self.lacking(each.digest for each in found)
        if lacking:
            raise bad(f"files were not uploaded: {', '.join(lacking)}")
        mount_id = self._site.new_id("mo")
        self.mounts[mount_id] = found
        return mount_id

    def named_mount(self, namespace: int, environment: str, name: str) -> str:
        """Give the id of a mount by name. Modal's own ones are all there, and empty."""
        key = (namespace, environment, name)
        if key not in self._named:
            self._named[key] = self.mount(())
        return self._named[key]

    def checksum(self, mount_id: str) -> str:
        """Give a digest of a mount."""
        digest = hashlib.sha256()
        for file in self.mounts[mount_id]:
            digest.update(f"{file.name}\0{file.digest}\0".encode())
        return digest.hexdigest()

    def lay_out(self, mount_id: str, root: Path) -> None:
        """Write the files of a mount below a folder.

        Raises:
            Refused: There is no such mount.
        """
        if mount_id not in self.mounts:
            raise missing(f"mount {mount_id}")
        for file in self.mounts[mount_id]:
            path = root / file.name.lstrip("/")
            if ".." in path.parts:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._contents[file.digest])
            path.chmod(file.mode or _READABLE)
