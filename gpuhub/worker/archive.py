"""Unpacks a bundle: a ``.tar.gz``, a ``.zip`` or a folder."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["unpack"]


def unpack(bundle: Path, folder: Path) -> Path:
    """Give the folder of a bundle, unpacking an archive into ``folder`` first.

    Args:
        bundle: The archive, or a folder that is given back as it is.
        folder: Where to unpack; must exist.

    Raises:
        ValueError: It is no archive, or a member would land outside of the folder.
        OSError: It cannot be read or written.
    """
    if bundle.is_dir():
        return bundle
    content = bundle.read_bytes()
    members = _zip_members(content) if content[:2] == b"PK" else _tar_members(content)
    try:
        for name, data in members:
            target = folder / _checked(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        why = str(error).partition("\n")[0]
        raise ValueError(f"{bundle.name} is neither a .tar.gz nor a .zip: {why}") from error
    return folder


def _checked(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise ValueError(f"the archive's member {name!r} would land outside of the folder")
    return path


def _zip_members(content: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                yield info.filename, archive.read(info)


def _tar_members(content: bytes) -> Iterator[tuple[str, bytes]]:
    # Regular files only: links are the classic way out of the folder.
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name, file.read()
