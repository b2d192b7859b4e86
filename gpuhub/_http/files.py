"""Files as request bodies: as many bytes as were announced, neither fewer nor more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gpuhub.errors import SpecError

__all__ = ["FileBody", "size_of"]

CHUNK = 262_144


def size_of(path: Path) -> int:
    """The file's size.

    Raises:
        SpecError: It cannot be opened: better known before anything is sent.
    """
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> SpecError:
    return SpecError(
        f"the file to send, {path}, cannot be read: {error.strerror or error}",
        next_step="check that the file exists and may be read",
    )


class FileBody:
    """Reads one file once, for one try. Without ``read``, which httpx would call with a size.

    Attributes:
        error: What went wrong while reading; HTTP clients hide it behind errors of their own.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._left = size
        self._file: BinaryIO | None = None
        self._closed = False
        self.error: SpecError | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Give the chunks, blocking."""
        while chunk := self.next_chunk():
            yield chunk

    def next_chunk(self) -> bytes:
        """The next chunk; nothing at the end, or when it was closed.

        Raises:
            SpecError: The file cannot be read, or is shorter than it was.
        """
        if self._closed or not self._left:
            return b""
        try:
            if self._file is None:
                self._file = self._path.open("rb")
            chunk = self._file.read(min(CHUNK, self._left))
        except OSError as error:
            self.error = _unreadable(self._path, error)
            raise self.error from None
        self._left -= len(chunk)
        if not chunk:
            self.error = SpecError(
                f"the file to send, {self._path}, became shorter by {self._left} bytes while it"
                " was sent",
                next_step="send a file that nobody writes to",
            )
            raise self.error
        return chunk

    def close(self) -> None:
        """Close the file. A read under way on another thread ends first."""
        self._closed = True
        if self._file is not None:
            self._file.close()
