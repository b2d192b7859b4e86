"""Files as inputs: in the request while they are small, else uploaded first.

"Upload a file" (``POST /files``, at most 100 MB) and "Input files" of Replicate's documentation,
read 2026-11-20: a data URL up to 256 kB, larger files by their URL.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
from typing import TYPE_CHECKING, Any

from gpuhub.errors import PayloadTooLarge, SpecError
from gpuhub_replicate import wire
from gpuhub_replicate.errors import document, member
from gpuhub_replicate.inputs import is_file

if TYPE_CHECKING:
    from gpuhub.adapter import Io

__all__ = ["INLINE_BYTES", "with_uploads"]

INLINE_BYTES = 256_000
"""Largest file that travels in the request itself."""
_MOST_BYTES = 100_000_000
_ANY = "application/octet-stream"


async def with_uploads(io: Io, value: Any) -> Any:
    """Give a value with a URL in the place of every file in it.

    Raises:
        PayloadTooLarge: A file is larger than Replicate takes.
        SpecError: What looks like a file holds no base64.
    """
    if is_file(value):
        return await _url(io, value)
    if isinstance(value, list):
        return [await with_uploads(io, each) for each in value]
    if isinstance(value, dict):
        return {name: await with_uploads(io, each) for name, each in value.items()}
    return value


async def _url(io: Io, file: dict[str, str]) -> str:
    name = file["name"] or "file"
    media_type = file["media_type"] or mimetypes.guess_type(name)[0] or _ANY
    try:
        content = base64.b64decode(file["data"], validate=True)
    except ValueError:
        raise SpecError(
            f"the file {name!r} holds no base64",
            next_step="pass a gpuhub.File",
            provider="replicate",
        ) from None
    if len(content) <= INLINE_BYTES:
        return f"data:{media_type};base64,{file['data']}"
    if len(content) > _MOST_BYTES:
        raise PayloadTooLarge(
            f"the file {name!r} has {len(content):,} bytes; Replicate takes at most"
            f" {_MOST_BYTES:,}",
            provider="replicate",
            accepted=False,
            next_step="put it where Replicate can fetch it, and pass its https URL",
        )
    boundary = f"gpuhub-{hashlib.sha256(content).hexdigest()[:32]}"
    answer = document(await io.send(wire.upload(name, media_type, content, boundary)))
    found: str = member(member(answer, "urls", dict), "get", str)
    return found
