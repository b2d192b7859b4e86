"""Files: uploaded ones, and outputs of predictions, behind links that end."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import mimetypes
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from gpuhub.adapter.reading import rfc3339

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.predictions import Prediction
    from gpuhub_replicate.emulator.site import Site

__all__ = ["Delivery", "File", "Files", "parse_form"]


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file.

    Attributes:
        id: Unique.
        name: As it was sent.
        content_type: As it was sent.
        content: All of it.
        metadata: As it was sent.
        created_at: Seconds since the epoch.
        expires_at: Seconds since the epoch.
    """

    id: str
    name: str
    content_type: str
    content: bytes = field(repr=False)
    metadata: Mapping[str, Any]
    created_at: float
    expires_at: float

    def shown(self, base: str) -> dict[str, Any]:
        """Give the API's description."""
        sha256 = hashlib.sha256(self.content).hexdigest()
        return {
            "id": self.id,
            "name": self.name,
            "content_type": self.content_type,
            "size": len(self.content),
            "etag": sha256[:32],
            "checksums": {
                "sha256": sha256,
                "md5": hashlib.md5(self.content, usedforsecurity=False).hexdigest(),
            },
            "metadata": dict(self.metadata),
            "created_at": rfc3339(self.created_at),
            "expires_at": rfc3339(self.expires_at),
            "urls": {"get": f"{base}/v1/files/{self.id}"},
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file that a prediction gave."""

    content_type: str
    content: bytes = field(repr=False)


class Files:
    """All of them. Every method needs the lock.

    Args:
        site: What all parts share.

    Attributes:
        uploads: By id, oldest first.
        deliveries: By the path of their link.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._key = secrets.token_bytes(16)
        self.uploads: dict[str, File] = {}
        self.deliveries: dict[str, Delivery] = {}

    def add(self, name: str, content_type: str, content: bytes, metadata: Any) -> File:
        """Take an upload; it goes by itself."""
        now, kept_s = self._site.timeline.wall(), self._site.options.file_kept_s
        file = File(
            self._site.new_id(), name, content_type, content, metadata or {}, now, now + kept_s
        )
        self.uploads[file.id] = file
        self._site.timeline.after(kept_s, lambda: self._forget(file.id))
        return file

    def link(self, file_id: str) -> str:
        """Give a link to a file's content that needs no token."""
        return f"{self._site.url}/v1/files/{file_id}/download?signature={self.signature(file_id)}"

    def signature(self, file_id: str) -> str:
        """Give what a link to a file's content is signed with."""
        return hmac.new(self._key, file_id.encode(), hashlib.sha256).hexdigest()

    def inputs(self, value: Any) -> Any:
        """Give an input with links that workers can follow in the place of uploaded files."""
        if isinstance(value, dict):
            return {name: self.inputs(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.inputs(each) for each in value]
        mark = f"{self._site.url}/v1/files/"
        if isinstance(value, str) and value.startswith(mark):
            file_id = value.removeprefix(mark)
            return self.link(file_id) if file_id in self.uploads else value
        return value

    def outputs(self, prediction: Prediction, value: Any) -> Any:
        """Give an output with links in the place of files."""
        if isinstance(value, dict):
            return {name: self.outputs(prediction, each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.outputs(prediction, each) for each in value]
        if isinstance(value, bytes):
            return self._deliver(prediction, Delivery("image/png", value), ".png")
        if isinstance(value, PurePath):
            kind = mimetypes.guess_type(str(value))[0] or "application/octet-stream"
            with open(value, "rb") as file:  # noqa: PTH123 - a path of either kind
                return self._deliver(prediction, Delivery(kind, file.read()), value.suffix)
        if isinstance(value, str) and value.startswith("data:") and _gives_files(prediction):
            return self._deliver_data(prediction, value)
        return value

    def erase(self, prediction: Prediction) -> None:
        """Remove the files of a prediction."""
        for path in prediction.files:
            self.deliveries.pop(path, None)
        prediction.files.clear()

    def _deliver(self, prediction: Prediction, delivery: Delivery, suffix: str) -> str:
        path = f"{prediction.id}/out-{len(prediction.files)}{suffix}"
        self.deliveries[path] = delivery
        prediction.files.append(path)
        return f"{self._site.url}/delivery/{path}"

    def _deliver_data(self, prediction: Prediction, url: str) -> str:
        head, _, text = url.removeprefix("data:").partition(",")
        kind = head.removesuffix(";base64") or "text/plain"
        try:
            is_base64 = head.endswith(";base64")
            content = base64.b64decode(text) if is_base64 else unquote_to_bytes(text)
        except binascii.Error:
            return url
        suffix = mimetypes.guess_extension(kind.partition(";")[0]) or ""
        return self._deliver(prediction, Delivery(kind, content), suffix)

    def _forget(self, file_id: str) -> None:
        self.uploads.pop(file_id, None)


def _gives_files(prediction: Prediction) -> bool:
    """Whether texts of a prediction's output are addresses of files."""
    return '"uri"' in str(prediction.version.part("Output")).replace("'", '"')


def parse_form(body: bytes, content_type: str) -> dict[str, tuple[str, str, bytes]]:
    """Read ``multipart/form-data``: field -> file name, content type, content.

    Raises:
        ValueError: It is none.
    """
    _, mark, boundary = content_type.partition("boundary=")
    if not content_type.startswith("multipart/form-data") or not mark:
        raise ValueError(f"multipart/form-data is wanted (got {content_type!r})")
    found = {}
    limit = b"--" + boundary.strip('"').encode()
    for part in (b"\r\n" + body).split(b"\r\n" + limit)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.decode().split("\r\n"))
        }
        words = _words(headers.get("content-disposition", ""))
        kind = headers.get("content-type", "application/octet-stream")
        found[words.get("name", "")] = (words.get("filename", ""), kind, content)
    return found


def _words(disposition: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in disposition.split(";")[1:])
    return {name: value.strip('"') for name, _, value in pairs}
