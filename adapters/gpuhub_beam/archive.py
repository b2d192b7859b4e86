"""What is uploaded: the bundle with Beam's worker entry, as a zip in memory. Pure.

Beam unpacks it at ``/mnt/code``, where its runner starts. The object's id is computed as by the SDK
(``_Manifest.hash`` of beta9 0.1.291), over paths, contents and modes: the same code is never sent
twice, whoever sends it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub_beam.kinds import ENTRY

if TYPE_CHECKING:
    from gpuhub.bundle import Bundle

__all__ = ["Archive", "object_hash", "pack"]

_MODE = 0o644
"""Of every file in the archive."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A packed bundle.

    Attributes:
        content: The zip.
        hash: What Beam knows it by.
    """

    content: bytes
    hash: str


def pack(bundle: Bundle) -> Archive:
    """Put Beam's worker entry beside the bundle's files and pack them."""
    entry = (Path(__file__).parent / "entry.py").read_bytes()
    files = {**bundle.files, f"{ENTRY}.py": entry}
    whole = replace(bundle, files=dict(sorted(files.items())))
    return Archive(whole.zip(), object_hash(files))


def object_hash(files: dict[str, bytes]) -> str:
    """Give the SHA-256 over sorted lines ``path NUL sha256(content) NUL octal-mode LF``."""
    whole = hashlib.sha256()
    for path in sorted(files):
        content = hashlib.sha256(files[path]).hexdigest()
        whole.update(f"{path}\0{content}\0{_MODE:o}\n".encode())
    return whole.hexdigest()
