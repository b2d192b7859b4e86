"""What a registry stores: content that is named by its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from gpuhub.adapter import Io
from gpuhub.errors import MalformedResponse, ProviderUnavailable
from gpuhub.oci.authorization import pull
from gpuhub.oci.registry import Registry
from gpuhub.plan import Request, Response, Retry

__all__ = ["Blob", "download_blob", "read_blob"]

_ATTEMPTS = 4
_FIRST_WAIT_S = 2.0
# Written in pieces of this size, so that async mode changes to a thread seldom.
_WRITE_BYTES = 4 << 20
_LINKS = {301, 302, 303, 307, 308}
_MOST_LINKS = 5
_IDENTITY = {"accept-encoding": "identity"}  # a blob is the bytes of its digest
_FIRST_BYTE = {**_IDENTITY, "range": "bytes=0-0"}


@dataclass(frozen=True, slots=True)
class Blob:
    """Content to upload.

    Attributes:
        digest: ``"sha256:…"``.
        size: Bytes.
        content: The bytes, or the file that holds them.
    """

    digest: str
    size: int
    content: bytes | Path

    @classmethod
    def of(cls, content: bytes) -> Blob:
        """A small one, in memory."""
        return cls(f"sha256:{hashlib.sha256(content).hexdigest()}", len(content), content)


async def read_blob(registry: Registry, repository: str, digest: str) -> bytes:
    """Fetch a small blob, such as an image's configuration.

    Raises:
        NotFound: The registry does not have it.
        MalformedResponse: It is not what its digest promises.
    """
    _, response = await _located(registry, repository, digest)
    if Blob.of(response.body).digest != digest:
        raise _damaged(registry, digest)
    return response.body


async def download_blob(
    registry: Registry,
    repository: str,
    digest: str,
    into: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> Path:
    """Fetch a blob of any size into a folder, and check its digest.

    A broken download goes on where it stopped, where the registry can.

    Args:
        registry: Where it is.
        repository: Where it is.
        digest: Which one.
        into: Existing folder.
        progress: Told the bytes there are so far.

    Raises:
        NotFound: The registry does not have it.
        MalformedResponse: It is not what its digest promises.
        ProviderUnavailable: The download broke again and again.
    """
    target = _Target(into / digest.removeprefix("sha256:"), registry.io, progress)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            await _fetch(registry, repository, digest, target)
            break
        except ProviderUnavailable:
            if attempt == _ATTEMPTS:
                raise
            await registry.io.sleep(_FIRST_WAIT_S * 2.0 ** (attempt - 1))
    if f"sha256:{target.hash.hexdigest()}" != digest:
        raise _damaged(registry, digest)
    return target.path


class _Target:
    """A file that grows, and the hash of what is in it."""

    def __init__(self, path: Path, io: Io, progress: Callable[[int], None]) -> None:
        self.path = path
        self.size = 0
        self._io = io
        self._progress = progress
        self._waiting: list[bytes] = []
        self.hash = hashlib.sha256()

    async def restart(self) -> None:
        self.size, self._waiting, self.hash = 0, [], hashlib.sha256()
        await self._io.run(self.path.write_bytes, b"")

    async def add(self, chunk: bytes) -> None:
        self.hash.update(chunk)
        self.size += len(chunk)
        self._waiting.append(chunk)
        if sum(map(len, self._waiting)) >= _WRITE_BYTES:
            await self.flush()

    async def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        await self._io.run(self._append, b"".join(waiting))
        self._progress(self.size)

    def _append(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)


async def _fetch(registry: Registry, repository: str, digest: str, target: _Target) -> None:
    """Read to the end: from where the last try stopped if possible, else from the start."""
    # Io streams a body without telling status or links, so the first byte is asked for alone: a
    # registry that keeps its blobs elsewhere answers with a link.
    url, probe = await _located(registry, repository, digest, _FIRST_BYTE)
    if probe.status == 200:  # it ignores ranges, and has sent everything
        await target.restart()
        await target.add(probe.body)
        await target.flush()
        return
    if not target.size:
        await target.restart()
    if target.size != _total(probe):  # the whole may be here although the last try broke
        await _append(registry, repository, url, target)


def _total(probe: Response) -> int | None:
    """Bytes of the whole, from ``Content-Range: bytes 0-0/1234``."""
    total = probe.headers.get("content-range", "").rpartition("/")[2]
    return int(total) if total.isdecimal() else None


async def _append(registry: Registry, repository: str, url: str, target: _Target) -> None:
    part = {"range": f"bytes={target.size}-"} if target.size else {}
    request = Request(
        "GET",
        url,
        headers={**_IDENTITY, **part},
        retry=Retry.SAFE,
        accept=(206,) if part else (200,),
    )
    try:
        async with aclosing(registry.stream(request, [pull(repository)])) as chunks:
            async for chunk in chunks:
                await target.add(chunk)
    finally:
        await target.flush()


async def _located(
    registry: Registry, repository: str, digest: str, headers: Mapping[str, str] = _IDENTITY
) -> tuple[str, Response]:
    """Follow links to where a blob is; the last answer and its URL."""
    url = registry.blob_url(repository, digest)
    for _ in range(_MOST_LINKS):
        request = Request("GET", url, headers=headers, retry=Retry.SAFE)
        response = await registry.send(request, repository, [pull(repository)])
        if response.status not in _LINKS:
            break
        url = registry.site.link(url, response.headers.get("location", ""))
    if response.status not in {200, 206}:
        raise registry.error(response, "reading a layer of", repository)
    return url, response


def _damaged(registry: Registry, digest: str) -> MalformedResponse:
    return MalformedResponse(
        f"what the registry {registry.site.registry} sent as {digest} has another digest",
        next_step="try again; look for a proxy that changes what passes",
    )
