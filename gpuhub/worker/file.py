"""A file as an argument or a result: bytes with a name and a media type."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

__all__ = ["File"]


@dataclass(frozen=True)
class File:
    """Bytes that keep their name and media type on the way to a worker and back.

    On the wire it is ``{"name", "media_type", "data"}`` with the data in base64.

    Attributes:
        data: The content. Not shown by ``repr``.
        name: File name without folders; may be empty.
        media_type: Such as ``"image/png"``; may be empty.
    """

    data: bytes = field(repr=False)
    name: str = ""
    media_type: str = ""

    @classmethod
    def from_path(cls, path: str | PathLike[str], media_type: str = "") -> File:
        """Read a local file.

        Args:
            path: The file.
            media_type: Its media type. Default: guessed from the name, empty when unknown.

        Raises:
            OSError: The file cannot be read.
        """
        source = Path(path)
        guessed = mimetypes.guess_type(source.name)[0] or ""
        return cls(source.read_bytes(), source.name, media_type or guessed)

    def read(self) -> bytes:
        """Give the content."""
        return self.data

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the content.

        Args:
            path: Target file, or a folder, in which the file's own name is used.

        Returns:
            The path of the written file.

        Raises:
            ValueError: ``path`` is a folder and the file has no name.
            OSError: The file cannot be written.
        """
        target = Path(path)
        if target.is_dir():
            # Only the last part: a name from the network must not choose the folder.
            name = Path(self.name.replace("\\", "/")).name
            if not name:
                raise ValueError(f"this File has no name: give a file path, not the folder {path}")
            target = target / name
        target.write_bytes(self.data)
        return target
