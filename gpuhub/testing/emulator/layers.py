"""Layers of images, unpacked so that their content can be run."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
from pathlib import Path, PurePosixPath

__all__ = ["unpack"]

_WHITEOUT = ".wh."


def unpack(content: bytes, root: Path) -> None:
    """Put a layer on what is there: files over files, and whiteouts instead of them.

    Args:
        content: A tar archive, compressed with gzip or not.
        root: Folder that stands for ``/``.
    """
    data = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            path = PurePosixPath(member.name.lstrip("./"))
            if path.name.startswith(_WHITEOUT):
                _remove(root / path.parent / path.name.removeprefix(_WHITEOUT))
            else:
                archive.extract(member, root, filter="tar")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
