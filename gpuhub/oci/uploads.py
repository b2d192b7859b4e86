"""Uploading blobs: in one piece, or in chunks that go on after a broken one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from gpuhub.errors import ProviderError, ProviderUnavailable, RateLimited
from gpuhub.oci.authorization import push
from gpuhub.oci.blobs import Blob
from gpuhub.oci.registry import Registry
from gpuhub.plan import Request, Response, Retry

__all__ = ["CHUNK_BYTES", "MONOLITHIC_BYTES", "upload_blob"]

MONOLITHIC_BYTES = 128 << 20
"""Largest blob that is sent in one request."""
CHUNK_BYTES = 96 << 20
"""Bytes of one chunk of a larger one; proxies before registries often refuse more than 100 MB."""

_ATTEMPTS = 5
_FIRST_WAIT_S = 2.0
# A registry may check or move the whole blob before it answers.
_ANSWER_SECONDS = 600.0
_COPY_BYTES = 1 << 20
# The upload's place is gone or in disorder; a new one helps.
_LOST = {"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "RANGE_INVALID"}
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")
_OCTETS = {"content-type": "application/octet-stream"}


async def upload_blob(
    registry: Registry,
    repository: str,
    blob: Blob,
    *,
    scratch: Path,
    opened: Response | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Upload a blob that the repository lacks, and go on or start over when that breaks.

    Nothing can be stored twice or wrong: the registry compares the digest.

    Args:
        registry: Where to.
        repository: Where to.
        blob: What.
        scratch: Existing folder for one chunk at a time.
        opened: The answer that started the upload, where there is one already.
        progress: Told the bytes that have arrived.

    Returns:
        Bytes that were sent, repeated ones included.

    Raises:
        ProviderError: The registry refused it, or did not take it after several tries.
    """
    upload = _Upload(registry, repository, blob, scratch, progress)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            await upload.run(opened or await registry.start_upload(repository))
            break
        except ProviderError as error:
            if attempt == _ATTEMPTS or not _is_worth_another(error, upload):
                raise
        await registry.io.sleep(_FIRST_WAIT_S * 2.0 ** (attempt - 1))
        opened = None
        if await registry.has_blob(repository, blob.digest):
            break  # only the answer was lost
    progress(blob.size)
    return upload.sent


def _is_worth_another(error: ProviderError, upload: _Upload) -> bool:
    if isinstance(error, ProviderUnavailable | RateLimited):
        return True
    # Some registries keep half of a broken chunk and do not say so.
    return error.code in _LOST or (upload.resumed and error.code == "DIGEST_INVALID")


class _Upload:
    """The tries of uploading one blob."""

    def __init__(
        self,
        registry: Registry,
        repository: str,
        blob: Blob,
        scratch: Path,
        progress: Callable[[int], None],
    ) -> None:
        self.sent = 0
        self.resumed = False
        self._registry = registry
        self._repository = repository
        self._blob = blob
        self._piece = scratch / f"{blob.digest.removeprefix('sha256:')}.chunk"
        self._progress = progress

    async def run(self, opened: Response) -> None:
        """Try once, in an upload that has been started."""
        self.resumed = False
        place = self._registry.site.link(
            self._registry.site.url, opened.headers.get("location", "")
        )
        chunk = _chunk_size(opened, self._blob.size)
        if chunk >= self._blob.size or isinstance(self._blob.content, bytes):
            await self._finish(place, self._blob.content, self._blob.size)
            return
        try:
            place = await self._send_chunks(place, self._blob.content, chunk)
        finally:
            self._piece.unlink(missing_ok=True)
        await self._finish(place, b"", 0)

    async def _finish(self, place: str, content: bytes | Path, size: int) -> None:
        # Repeating it would append to what arrived before: upload_blob starts over instead.
        request = Request(
            "PUT",
            place,
            body=content,
            query={"digest": self._blob.digest},
            headers=_OCTETS,
            timeout=_ANSWER_SECONDS,
            retry=Retry.REFUSED_ONLY,
        )
        self.sent += size
        response = await self._send(request)
        if response.status not in {200, 201, 202, 204}:
            raise self._error(response)

    async def _send_chunks(self, place: str, path: Path, chunk: int) -> str:
        """Send all chunks; the place that the last answer named."""
        offset, stuck = 0, 0
        while offset < self._blob.size:
            size = min(chunk, self._blob.size - offset)
            await self._registry.io.run(_cut, path, offset, size, self._piece)
            place, reached = await self._send_chunk(place, offset, size, stuck)
            stuck = 0 if reached > offset else stuck + 1
            if stuck == _ATTEMPTS:
                raise ProviderUnavailable(
                    f"the registry {self._registry.site.registry} took {offset} of"
                    f" {self._blob.size} bytes of {self._blob.digest}, and takes no more",
                    next_step="try again later",
                    accepted=None,
                )
            offset = reached
            self._progress(offset)
        return place

    async def _send_chunk(self, place: str, offset: int, size: int, stuck: int) -> tuple[str, int]:
        """Send one chunk: the place of the next one, and where it begins."""
        request = Request(
            "PATCH",
            place,
            body=self._piece,
            headers={**_OCTETS, "content-range": f"{offset}-{offset + size - 1}"},
            timeout=_ANSWER_SECONDS,
            retry=Retry.REFUSED_ONLY,
        )
        self.sent += size
        try:
            response = await self._send(request)
        except ProviderUnavailable:
            await self._registry.io.sleep(_FIRST_WAIT_S * 2.0**stuck)
            return await self._asked(place)
        if response.status == 416:
            return await self._asked(place)
        if response.status not in {201, 202, 204}:
            raise self._error(response)
        return self._place(response, place), _reached(response, offset + size)

    async def _asked(self, place: str) -> tuple[str, int]:
        """Ask how much has arrived."""
        self.resumed = True
        response = await self._send(Request("GET", place, retry=Retry.SAFE))
        if response.status not in {200, 202, 204}:
            raise self._error(response)
        return self._place(response, place), min(_reached(response, 0), self._blob.size)

    async def _send(self, request: Request) -> Response:
        repository = self._repository
        return await self._registry.send(request, repository, [push(repository)])

    def _place(self, response: Response, asked: str) -> str:
        """Where the upload goes on; a registry may move it with every answer."""
        return self._registry.site.link(asked, response.headers.get("location", asked))

    def _error(self, response: Response) -> ProviderError:
        return self._registry.error(response, "uploading to", self._repository)


def _chunk_size(opened: Response, size: int) -> int:
    """Bytes of a chunk; all at once where the blob and the registry's own limits allow."""
    longest = _number(opened, "oci-chunk-max-length")
    if size <= min(longest or MONOLITHIC_BYTES, MONOLITHIC_BYTES):
        return size
    return max(min(longest or CHUNK_BYTES, CHUNK_BYTES), _number(opened, "oci-chunk-min-length"))


def _number(response: Response, header: str) -> int:
    text = response.headers.get(header, "")
    return int(text) if text.isdecimal() else 0


def _reached(response: Response, otherwise: int) -> int:
    """How many bytes have arrived, from ``Range: 0-1023``."""
    match = _RANGE.fullmatch(response.headers.get("range", ""))
    if match is None:
        return otherwise
    last = int(match[1])
    return last + 1 if last else 0  # registries say 0-0 for nothing


def _cut(path: Path, offset: int, size: int, into: Path) -> None:
    """Copy a part of a file: Io sends whole files, and a chunk is much to hold in memory."""
    with path.open("rb") as source, into.open("wb") as piece:
        source.seek(offset)
        while size > 0 and (data := source.read(min(size, _COPY_BYTES))):
            piece.write(data)
            size -= len(data)
