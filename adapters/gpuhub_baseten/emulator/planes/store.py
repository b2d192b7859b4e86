"""The object store that archives are uploaded to: an S3 that knows one bucket."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub_baseten.emulator.problems import Problem
from gpuhub_baseten.emulator.signing import Credentials, access_key_of, check_signature
from gpuhub_baseten.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_baseten.emulator.site import Site

__all__ = ["BUCKET", "REGION", "Store"]

BUCKET = "emulated-model-uploads"
REGION = "us-west-2"
_LIFE_S = 3600.0
_LARGEST_PUT = 5 * 1024**3
_XML = "application/xml"


class Store:
    """``https://{bucket}.s3.{region}.amazonaws.com``, here ``/{bucket}``.

    Args:
        site: What all parts share.
        folder: Where objects are kept.
    """

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._folder = folder
        self._credentials: dict[str, Credentials] = {}
        self._uploads: dict[str, dict[int, bytes]] = {}

    def issue(self) -> Credentials:
        """Make credentials for one upload. Needs the lock."""
        key = f"models/{secrets.token_hex(8)}/model.tar"
        made = Credentials(
            f"ASIA{secrets.token_hex(8).upper()}",
            secrets.token_urlsafe(30),
            secrets.token_urlsafe(60),
            key,
            self._site.now() + _LIFE_S,
        )
        self._credentials[made.access_key] = made
        return made

    def archive(self, s3_key: str) -> Path | None:
        """Give an uploaded file; ``None``: there is none of this key."""
        place = self._place(s3_key)
        return place if place.is_file() else None

    async def put(self, request: Request, key: str) -> Answer:
        """``PUT``: an object, or a part of one."""
        self._check(request, key)
        if len(request.body) > _LARGEST_PUT:
            raise Problem(400, "Your proposed upload exceeds the maximum", "EntityTooLarge")
        body = _content(request)
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        upload = request.query.get("uploadId")
        if upload is None:
            self._write(key, body)
        else:
            self._upload(upload)[int(request.query["partNumber"])] = body
        return Answer(200, b"", {"ETag": etag}, _XML)

    async def post(self, request: Request, key: str) -> Answer:
        """``POST``: the beginning or the end of an upload in parts."""
        self._check(request, key)
        head = f"<Bucket>{BUCKET}</Bucket><Key>{key}</Key>"
        if "uploads" in request.query:
            upload = secrets.token_hex(16)
            self._uploads[upload] = {}
            inner = f"{head}<UploadId>{upload}</UploadId>"
            return _told("InitiateMultipartUploadResult", inner)
        parts = self._upload(request.query.get("uploadId", ""))
        body = b"".join(parts[number] for number in sorted(parts))
        self._write(key, body)
        del self._uploads[request.query["uploadId"]]
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}-{len(parts)}"'
        return _told("CompleteMultipartUploadResult", f"{head}<ETag>{etag}</ETag>")

    async def other(self, _request: Request, _key: str) -> Answer:
        """What these credentials may not do."""
        raise Problem(403, "Access Denied", "AccessDenied")

    def _check(self, request: Request, key: str) -> None:
        credentials = self._credentials.get(access_key_of(request))
        if credentials is None:
            words = "The AWS Access Key Id you provided does not exist in our records."
            raise Problem(403, words, "InvalidAccessKeyId")
        check_signature(request, credentials, REGION)
        if self._site.now() > credentials.expires_at:
            raise Problem(400, "The provided token has expired.", "ExpiredToken")
        if key != credentials.s3_key:
            raise Problem(403, "Access Denied", "AccessDenied")

    def _upload(self, name: str) -> dict[int, bytes]:
        if name not in self._uploads:
            raise Problem(404, "The specified upload does not exist.", "NoSuchUpload")
        return self._uploads[name]

    def _write(self, key: str, body: bytes) -> None:
        place = self._place(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)

    def _place(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()


def _told(name: str, inner: str) -> Answer:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}>{inner}</{name}>'
    return Answer(200, text.encode(), {}, _XML)


def _content(request: Request) -> bytes:
    """Give an object's content: botocore may send it in chunks with a checksum behind them."""
    if "aws-chunked" not in request.headers.get("content-encoding", ""):
        return request.body
    content, rest = b"", request.body
    while rest:
        head, _, rest = rest.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        if size == 0:
            break
        content, rest = content + rest[:size], rest[size + 2 :]
    if len(content) != int(request.headers.get("x-amz-decoded-content-length", len(content))):
        raise Problem(400, "You did not provide the number of bytes specified", "IncompleteBody")
    return content
