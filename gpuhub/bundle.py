"""What goes into the container: a deterministic archive of user code, worker and manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpuhub.worker.target import Target

__all__ = ["Bundle", "build_bundle", "describe_target"]


@dataclass(frozen=True, slots=True)
class Bundle:
    """User code, worker and manifest. ``repr`` shows the digest and the size only.

    Attributes:
        files: Content by path, sorted: ``manifest.json``, ``app/…``, ``runtime/gpuhub/…``.
        target: What runs.
        digest: SHA-256 over paths and contents, 64 hex digits; independent of times and owners.
        notes: What could not be checked, such as an import that only the image can satisfy.
    """

    files: Mapping[str, bytes] = field(repr=False)
    target: Target = field(repr=False)
    digest: str
    notes: tuple[str, ...] = field(default=(), repr=False)

    @property
    def size(self) -> int:
        """Bytes, uncompressed."""
        return sum(map(len, self.files.values()))

    def tar_gz(self) -> bytes:
        """Give a ``.tar.gz``; the same files give the same bytes."""
        raise NotImplementedError

    def zip(self) -> bytes:
        """Give a ``.zip``; the same files give the same bytes."""
        raise NotImplementedError

    def write_to(self, folder: Path) -> Path:
        """Write the files below a folder and give it back."""
        raise NotImplementedError


def describe_target(
    function: Callable[..., Any] | type, root: Path, *, web: bool = False
) -> Target:
    """Name a decorated object, its module relative to the project's root.

    Raises:
        SpecError: It is a lambda, nested, a method, or outside of the project.
    """
    raise NotImplementedError


def build_bundle(
    function: Callable[..., Any] | type | Target,
    root: Path,
    *,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    image_packages: tuple[str, ...] = (),
    image_known: bool = True,
    manifest_extra: Mapping[str, Any] | None = None,
    secret_values: Iterable[str] = (),
    size_limit: int = 50_000_000,
) -> Bundle:
    """Collect the project's files for one function.

    Raises:
        SpecError: The function cannot be shipped, an import would fail in the container, a
            file must not leave the machine, or the files are too large.
    """
    raise NotImplementedError
