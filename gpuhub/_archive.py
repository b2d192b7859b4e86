"""Deterministic archives: the same files give the same bytes, whenever and by whomever made."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping

__all__ = ["content_digest", "make_tar_gz", "make_zip"]

# The first moment a zip file can name.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_TAR_TIME = 315_532_800
_MODE = 0o644


def content_digest(files: Mapping[str, bytes]) -> str:
    """Give the SHA-256 over paths and contents, as hex digits."""
    whole = hashlib.sha256()
    for path in sorted(files):
        whole.update(f"{path}\0{hashlib.sha256(files[path]).hexdigest()}\n".encode())
    return whole.hexdigest()


def make_tar_gz(files: Mapping[str, bytes]) -> bytes:
    """Pack files as ``.tar.gz``, sorted by path."""
    packed = io.BytesIO()
    # Not gzip.compress: there the platform's zlib writes the header.
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(files):
            info = tarfile.TarInfo(path)
            info.size, info.mtime, info.mode = len(files[path]), _TAR_TIME, _MODE
            archive.addfile(info, io.BytesIO(files[path]))
    return packed.getvalue()


def make_zip(files: Mapping[str, bytes]) -> bytes:
    """Pack files as ``.zip``, sorted by path."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            info = zipfile.ZipInfo(path, _ZIP_TIME)
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
            info.external_attr = _MODE << 16
            archive.writestr(info, files[path])
    return packed.getvalue()
