"""What goes into the container: a deterministic archive of user code, worker and manifest."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from typing_extensions import override

from gpuhub import _archive, worker
from gpuhub._files import ProjectFiles
from gpuhub._imports import Project, scan_imports
from gpuhub._locate import Located, locate
from gpuhub._packages import ImagePackages
from gpuhub.errors import SpecError
from gpuhub.worker.find import MANIFEST, find_object
from gpuhub.worker.target import Target
from gpuhub.worker.wire import WIRE

__all__ = ["SIZE_LIMIT", "Bundle", "build_bundle", "describe_target"]

SIZE_LIMIT = 50_000_000
"""Largest bundle, in bytes before compression, unless told otherwise."""

_SCHEMA = 1
# Shorter ones would be found by chance.
_SECRET_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Bundle:
    """User code, worker and manifest. ``repr`` shows the digest and the size only.

    Attributes:
        files: Content by path, sorted: ``manifest.json``, ``app/…``, ``runtime/gpuhub/…``.
        target: What runs.
        digest: SHA-256 over paths and contents, 64 hex digits; independent of times and owners.
        notes: What could not be checked, such as an import that only the image can satisfy.
    """

    files: Mapping[str, bytes]
    target: Target
    digest: str
    notes: tuple[str, ...] = field(default=())

    @override
    def __repr__(self) -> str:
        """Show the digest's beginning and the size."""
        return f"Bundle(digest={self.digest[:12]!r}, size={self.size})"

    @property
    def size(self) -> int:
        """Bytes, uncompressed."""
        return sum(map(len, self.files.values()))

    def tar_gz(self) -> bytes:
        """Give a ``.tar.gz``; the same files give the same bytes."""
        return _archive.make_tar_gz(self.files)

    def zip(self) -> bytes:
        """Give a ``.zip``; the same files give the same bytes."""
        return _archive.make_zip(self.files)

    def write_to(self, folder: Path) -> Path:
        """Write the files below a folder, which is made if need be, and give it back."""
        for path, content in self.files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        return folder


def describe_target(
    function: Callable[..., Any] | type, root: Path, *, web: bool = False
) -> Target:
    """Name a decorated object, its module as the container will import it.

    Raises:
        SpecError: It is a lambda, nested, a method, made in a REPL, or outside of the project.
    """
    return locate(function, root, web=web).target


def build_bundle(
    function: Callable[..., Any] | type | Target,
    root: Path,
    *,
    web: bool = False,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    image_packages: Iterable[str] = (),
    image_known: bool = True,
    manifest_extra: Mapping[str, Any] | None = None,
    secret_values: Iterable[str] = (),
    size_limit: int = SIZE_LIMIT,
) -> Bundle:
    """Collect the project's files for one function.

    Args:
        function: The decorated or raw function or class, or the description of one.
        root: The project's folder.
        web: Whether it makes an ASGI application.
        include: Patterns, in the language of ``.gitignore``, of files to ship beside Python's.
        exclude: Patterns of files to leave out.
        image_packages: Requirements the image installs.
        image_known: Whether these are all the image has; if not, an import that nothing here
            provides is a note instead of an error.
        manifest_extra: Further JSON members of ``manifest.json``.
        secret_values: Values that must not be in any file.
        size_limit: Largest bundle, in bytes before compression.

    Raises:
        SpecError: The function cannot be shipped, an import would fail in the container, a
            file must not leave the machine, or the files are too large.
    """
    if isinstance(function, Target):
        located = locate(find_object(function), root, web=web or function.kind == "web")
    else:
        located = locate(function, root, web=web)
    project = ProjectFiles(root, include, exclude)
    user_files = _read(project, size_limit)
    if located.file not in user_files:
        why = project.why_left_out(located.file) or "it is not a Python file"
        raise SpecError(
            f"{located.file}, the module of {located.target.qualname}, is not in the bundle: {why}",
            next_step="let the ignore rules pass it",
        )
    bases = _bases(located, root)
    packages = ImagePackages(image_packages)
    scanned = Project(user_files, bases, project.why_left_out, packages, image_known)
    scan = scan_imports(scanned, located.file, located.target.qualname)
    path = list(dict.fromkeys([located.base, *scan.bases, ""]))
    files = {
        MANIFEST: _manifest(located.target, path, manifest_extra or {}),
        **{f"app/{name}": content for name, content in user_files.items()},
        **_runtime(),
    }
    _check_secrets(files, secret_values)
    ordered = dict(sorted(files.items()))
    digest = _archive.content_digest(ordered)
    return Bundle(MappingProxyType(ordered), located.target, digest, scan.notes)


def _read(project: ProjectFiles, limit: int) -> dict[str, bytes]:
    paths = {path: place for path, place in project.paths.items() if not _is_ours(place)}
    try:
        _check_size({path: place.stat().st_size for path, place in paths.items()}, limit)
        return {path: place.read_bytes() for path, place in paths.items()}
    except OSError as error:
        raise SpecError(
            f"cannot read {error.filename}: {error.strerror}",
            next_step="make it readable, or leave it out with `exclude`",
        ) from error


def _is_ours(place: Path) -> bool:
    """Whether a file is part of the gpuhub that runs here: the bundle has a stub in its place."""
    return place.is_relative_to(Path(worker.__file__).resolve().parent.parent)


def _check_size(sizes: Mapping[str, int], limit: int) -> None:
    total = sum(sizes.values())
    if total <= limit:
        return
    largest = sorted(sizes, key=lambda path: -sizes[path])[:5]
    listing = ", ".join(f"{path} ({sizes[path] / 1e6:.1f} MB)" for path in largest)
    raise SpecError(
        f"the bundle would have {total / 1e6:.1f} MB, above the limit of {limit / 1e6:.1f} MB; "
        f"largest: {listing}",
        next_step="leave files out with `exclude`, or put data into a Volume or the image",
    )


def _bases(located: Located, root: Path) -> tuple[str, ...]:
    """Give the folders imports may start from: the module's own, the path's, the usual ones."""
    top = root.resolve()
    bases = [located.base]
    for entry in sys.path:
        place = Path(entry or ".").resolve()
        if place.is_relative_to(top) and place.is_dir():
            relative = place.relative_to(top).as_posix()
            bases.append("" if relative == "." else relative)
    usual = ["", "src"] if (top / "src").is_dir() else [""]
    return tuple(dict.fromkeys([*bases, *usual]))


def _manifest(target: Target, path: list[str], extra: Mapping[str, Any]) -> bytes:
    folders = [f"app/{base}" if base else "app" for base in path]
    own = {"schema": _SCHEMA, "wire": WIRE, "target": target.to_dict(), "path": folders}
    clash = own.keys() & extra.keys()
    if clash:
        msg = f"manifest_extra must not replace {', '.join(sorted(clash))}"
        raise ValueError(msg)
    return json.dumps({**own, **extra}, indent=1, sort_keys=True).encode()


def _runtime() -> dict[str, bytes]:
    """Give the worker's files, with the stub in the place of the library."""
    folder = Path(worker.__file__).parent
    names = {path: f"runtime/gpuhub/worker/{path.name}" for path in folder.glob("*.py")}
    names[folder / "stub.py"] = "runtime/gpuhub/__init__.py"
    return {name: path.read_bytes() for path, name in names.items()}


def _check_secrets(files: Mapping[str, bytes], values: Iterable[str]) -> None:
    wanted = [value.encode() for value in values if len(value) >= _SECRET_LENGTH]
    for path, content in files.items():
        if any(value in content for value in wanted):
            raise SpecError(
                f"{path.removeprefix('app/')} contains the value of a secret",
                next_step="read it from the environment there, and pass it with secrets=[…]",
            )
