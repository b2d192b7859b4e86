"""What is uploaded, and the images that are built."""

from __future__ import annotations

import hashlib
import json
import secrets
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub_beam.emulator.problems import Problem

if TYPE_CHECKING:
    from gpuhub_beam.emulator.site import Site

__all__ = ["HASH_HEADER", "Images", "Objects", "Stored", "Upload"]

HASH_HEADER = "x-amz-meta---content-sha256"
"""What the gateway looks for when a client says that it supports such headers."""
_SHORTEST_PART = 5 * 1024 * 1024
"""S3's: of all parts but the last."""


@dataclass(slots=True, eq=False)
class Stored:
    """One object.

    Attributes:
        id: External id.
        hash: Of its content, as the client computed it.
        size: As the client told it.
        path: Where its bytes are.
        has_content: Whether they were uploaded.
        has_hash: Whether the upload carried the hash as metadata.
    """

    id: str
    hash: str
    size: int
    path: Path
    has_content: bool = False
    has_hash: bool = False


@dataclass(slots=True, eq=False)
class Upload:
    """An upload in parts."""

    stored: Stored
    sizes: list[int]
    parts: dict[int, tuple[str, bytes]] = field(default_factory=dict)


@dataclass
class Objects:
    """The workspace's object storage. Every method needs the lock.

    Attributes:
        site: What all parts share.
        folder: Where the bytes are kept.
        by_id: All objects.
        uploads: Those in parts that are not complete, by upload id.
        deltas: What a delta is to be merged with, by object id.
        keys: What a presigned URL must bring, by path.
        signed: Headers that belong to a signature, by path.
    """

    site: Site
    folder: Path
    by_id: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    deltas: dict[str, Path] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    signed: dict[str, dict[str, str]] = field(default_factory=dict)

    def with_hash(self, digest: str) -> Stored | None:
        """Give the object of a hash."""
        return next((each for each in self.by_id.values() if each.hash == digest), None)

    def create(self, digest: str, size: int) -> Stored:
        """Make an object, or give the one of that hash."""
        stored = self.with_hash(digest) if digest else None
        if stored is None:
            name = self.site.new_id()
            stored = Stored(name, digest, size, self.folder / f"{name}.zip")
            self.by_id[stored.id] = stored
        stored.size = size
        return stored

    def presigned(self, path: str, headers: dict[str, str] | None = None) -> str:
        """Give a URL that may be PUT to, with just these headers."""
        self.keys[path] = secrets.token_hex(16)
        self.signed[path] = headers or {}
        return f"{self.site.url}/emulated-storage/{path}?X-Amz-Signature={self.keys[path]}"

    def begin_parts(self, stored: Stored, part_size: int, total: int) -> tuple[str, list[Any]]:
        """Begin an upload in parts; give its id and the parts to upload."""
        upload_id = secrets.token_hex(16)
        bounds = [(start, min(start + part_size, total)) for start in range(0, total, part_size)]
        self.uploads[upload_id] = Upload(stored, [end - start for start, end in bounds])
        parts = [
            {
                "number": number,
                "start": str(start),
                "end": str(end),
                "url": self.presigned(f"parts/{upload_id}/{number}"),
            }
            for number, (start, end) in enumerate(bounds, 1)
        ]
        return upload_id, parts

    def put(self, path: str, signature: str, headers: dict[str, str], body: bytes) -> str:
        """Take a PUT; give its ETag.

        Raises:
            Problem: 403, the URL is not presigned; 404, there is no such upload.
        """
        is_signed = all(headers.get(n) == v for n, v in self.signed.get(path, {}).items())
        if not signature or self.keys.get(path) != signature or not is_signed:
            raise Problem(403, "SignatureDoesNotMatch", "message")
        if "authorization" in headers:
            raise Problem(400, "InvalidArgument: only one auth mechanism allowed", "message")
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        place, _, rest = path.partition("/")
        if place == "parts":
            upload_id, _, number = rest.partition("/")
            if upload_id not in self.uploads:
                raise Problem(404, "NoSuchUpload", "message")
            self.uploads[upload_id].parts[int(number)] = (etag, body)
        elif place == "deltas":
            self.deltas[rest].write_bytes(body)
        else:
            self._keep(self.by_id[rest], body, headers)
        return etag

    def complete(self, upload_id: str, parts: list[tuple[int, str]]) -> str:
        """Put the parts together; give what is wrong, or nothing."""
        upload = self.uploads.get(upload_id)
        if upload is None:
            return "Unable to complete multipart upload: NoSuchUpload"
        known = [(number, etag) for number, (etag, _) in sorted(upload.parts.items())]
        if parts != known or len(parts) != len(upload.sizes):
            return "Unable to complete multipart upload: InvalidPart"
        sizes = [len(body) for _, (_, body) in sorted(upload.parts.items())]
        if any(size < _SHORTEST_PART for size in sizes[:-1]):
            return "Unable to complete multipart upload: EntityTooSmall"
        body = b"".join(body for _, (_, body) in sorted(upload.parts.items()))
        self._keep(upload.stored, body, {HASH_HEADER: upload.stored.hash})
        del self.uploads[upload_id]
        return ""

    def begin_delta(self, stored: Stored) -> str:
        """Give where the changed files of an object are to be PUT."""
        self.deltas[stored.id] = self.folder / f"{stored.id}.delta"
        return self.presigned(f"deltas/{stored.id}")

    def merge(self, stored: Stored, base: Stored, removed: list[str]) -> None:
        """Make an object of another one and a delta."""
        delta = self.deltas.pop(stored.id)
        with (
            zipfile.ZipFile(stored.path, "w") as made,
            zipfile.ZipFile(base.path) as old,
            zipfile.ZipFile(delta) as new,
        ):
            changed = set(new.namelist())
            for info in old.infolist():
                if info.filename not in changed and info.filename not in removed:
                    made.writestr(info, old.read(info))
            for info in new.infolist():
                made.writestr(info, new.read(info))
        stored.has_content = stored.has_hash = True

    def content(self, object_id: str) -> Path | None:
        """Give the bytes of an object; ``None``: it has none."""
        stored = self.by_id.get(object_id)
        return stored.path if stored is not None and stored.has_content else None

    def _keep(self, stored: Stored, body: bytes, headers: dict[str, str]) -> None:
        stored.path.write_bytes(body)
        stored.has_content = True
        stored.has_hash = headers.get(HASH_HEADER) == stored.hash


@dataclass
class Images:
    """The images that were built. Every method needs the lock.

    Attributes:
        built: Their ids.
        failing: How many builds are to fail; until then, no image counts as built.
        missing: Base images that no registry has.
        packages: Python packages that no index has.
    """

    built: set[str] = field(default_factory=set)
    failing: int = 0
    missing: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)

    def id_of(self, asked: dict[str, Any]) -> str:
        """Give the id of a specification: the same one gives the same id."""
        facts = {name: value for name, value in asked.items() if name not in _NOT_CONTENT}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def exists(self, image_id: str) -> bool:
        """Whether an image need not be built."""
        return image_id in self.built and not self.failing


_NOT_CONTENT = frozenset({"existing_image_creds", "force_rebuild", "image_id", "gpu"})
