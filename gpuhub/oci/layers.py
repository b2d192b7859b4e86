"""Layers: deterministic ``.tar.gz`` files, written straight to disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from gpuhub.errors import SpecError

__all__ = ["Layer", "layer_from_files", "layer_from_folder"]

# Fixed, because the default of the library may change, and with it all digests.
_COMPRESSION = 6
_COPY_BYTES = 1 << 20
_FILE, _PROGRAM, _FOLDER = 0o644, 0o755, 0o755
_WHITEOUT = ".wh."

# A base has these with modes of its own (/tmp is 1777), or as links (/bin to usr/bin): an entry
# for one of them would replace it.
_OF_THE_BASE = frozenset(
    name
    for parent, names in {
        "": "bin boot dev etc home lib lib32 lib64 libx32 media mnt opt proc root run sbin srv sys"
        " tmp usr var",
        "usr/": "bin lib lib32 lib64 libx32 local sbin share",
        "usr/local/": "bin lib sbin share",
        "var/": "cache lib lock log mail run spool tmp",
    }.items()
    for name in (parent + each for each in names.split())
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer on disk.

    Attributes:
        path: The compressed file; its maker's folder owns it.
        digest: ``"sha256:…"`` of that file.
        diff_id: ``"sha256:…"`` of the tar inside.
        size: Bytes of the compressed file.
        comment: What it is, for the image's history.
    """

    path: Path
    digest: str
    diff_id: str
    size: int
    comment: str = ""


def layer_from_files(
    files: Mapping[str, bytes], into: Path, *, prefix: str = "", comment: str = ""
) -> Layer:
    """Pack files; the same ones give the same digest. Blocks: call it through ``io.run``.

    Args:
        files: Content by path, relative to ``prefix``. None of them is executable.
        into: Existing folder the layer is written to.
        prefix: Folder of the image, such as ``"src"``.
        comment: What it is, for the image's history.

    Raises:
        SpecError: A path leads out of the image, or would delete files of the base.
    """
    entries = [_Entry.of_bytes(_placed(prefix, path), data) for path, data in files.items()]
    return _write(entries, into, comment)


def layer_from_folder(folder: Path, into: Path, *, prefix: str = "", comment: str = "") -> Layer:
    """Pack a folder; the same files give the same digest. Blocks: call it through ``io.run``.

    Programs stay executable and links stay links; owners, times and other bits of the mode are
    set to fixed values. Otherwise like :func:`layer_from_files`.

    Raises:
        SpecError: A link leads out of the folder, or a file is neither file, folder nor link.
    """
    return _write(list(_folder_entries(folder, prefix)), into, comment)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One thing to pack: bytes, a file, a link (``target``), or a folder (none of them)."""

    name: str
    mode: int
    size: int = 0
    data: bytes | None = None
    source: Path | None = None
    target: str = ""

    @classmethod
    def of_bytes(cls, name: str, data: bytes) -> _Entry:
        return cls(name, _FILE, len(data), data)

    @property
    def kind(self) -> bytes:
        if self.target:
            return tarfile.SYMTYPE
        return tarfile.DIRTYPE if self.data is None and self.source is None else tarfile.REGTYPE

    def header(self) -> tarfile.TarInfo:
        info = tarfile.TarInfo(self.name)
        info.size, info.mode, info.mtime = self.size, self.mode, 0
        info.type, info.linkname = self.kind, self.target
        return info

    @contextmanager
    def opened(self) -> Iterator[IO[bytes] | None]:
        if self.source is not None:
            with self.source.open("rb") as file:
                yield file
        else:
            yield None if self.data is None else io.BytesIO(self.data)


def _folder_entries(folder: Path, prefix: str) -> Iterator[_Entry]:
    top = folder.resolve()
    for place in sorted(folder.rglob("*")):
        name = _placed(prefix, place.relative_to(folder).as_posix())
        if place.is_symlink():
            yield _Entry(name, 0o777, target=_link(place, top))
        elif place.is_dir():
            yield _Entry(name, _FOLDER)
        elif place.is_file():
            status = place.stat()
            mode = _PROGRAM if status.st_mode & 0o100 else _FILE
            yield _Entry(name, mode, status.st_size, source=place)
        else:
            raise SpecError(
                f"{place} cannot be put into an image: it is neither file, folder nor link",
                next_step="leave it out",
            )


def _link(place: Path, top: Path) -> str:
    target = place.readlink()
    if target.is_absolute() or not place.resolve().is_relative_to(top):
        raise SpecError(
            f"{place} links to {target}, which is not in the folder that is packed",
            next_step="replace the link by a copy, or leave it out",
        )
    return target.as_posix()


def _placed(prefix: str, path: str) -> str:
    """The name inside of the image, without a slash at its start."""
    parts = PurePosixPath(f"{prefix}/{path}").parts
    kept = [part for part in parts if part != "/"]
    if ".." in kept or not kept or "\0" in path:
        raise SpecError(
            f"{path!r} cannot be put into an image: its path must name a place inside",
            next_step="use a path without '..'",
        )
    if any(part.startswith(_WHITEOUT) for part in kept):
        raise SpecError(
            f"{path!r} cannot be put into an image: names with {_WHITEOUT} delete files there",
            next_step="rename the file",
        )
    return "/".join(kept)


def _with_parents(entries: Iterable[_Entry]) -> dict[str, _Entry]:
    """Add the folders above: a container engine may make missing ones unreadable."""
    found = {entry.name: entry for entry in entries}
    for name in list(found):
        for parent in map(str, PurePosixPath(name).parents[:-1]):
            if found.setdefault(parent, _Entry(parent, _FOLDER)).kind != tarfile.DIRTYPE:
                raise SpecError(
                    f"{name!r} cannot be put into an image: {parent!r} is not a folder",
                    next_step="rename one of them",
                )
    return {
        name: entry
        for name, entry in sorted(found.items())
        if name not in _OF_THE_BASE or entry.kind != tarfile.DIRTYPE
    }


def _write(entries: Iterable[_Entry], into: Path, comment: str) -> Layer:
    handle, name = tempfile.mkstemp(suffix=".part", dir=into)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            compressed = _Hashing(file)
            # Not gzip.compress: there the platform's zlib writes the header.
            with gzip.GzipFile("", "wb", _COMPRESSION, cast("IO[bytes]", compressed), 0) as zipped:
                plain = _Hashing(zipped)
                _pack(_with_parents(entries).values(), plain)
        path = into / f"{compressed.digest.removeprefix('sha256:')}.tar.gz"
        part.replace(path)
    except OSError as error:
        raise SpecError(
            f"a layer cannot be packed: {error.filename or into}: {error.strerror or error}",
            next_step="check that its files can be read, and that the disk has space",
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return Layer(path, compressed.digest, plain.digest, compressed.written, comment)


def _pack(entries: Iterable[_Entry], into: _Hashing) -> None:
    with tarfile.open(
        fileobj=cast("IO[bytes]", into), mode="w|", format=tarfile.PAX_FORMAT, bufsize=_COPY_BYTES
    ) as archive:
        for entry in entries:
            with entry.opened() as content:
                archive.addfile(entry.header(), content)


class _Hashing:
    """The part of a file that writers use; knows length and SHA-256 of what passed."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.written = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._hash.update(data)
        self.written += len(data)
        return len(data)

    def flush(self) -> None:
        self._file.flush()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"
