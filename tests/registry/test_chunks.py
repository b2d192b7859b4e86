"""Large layers in chunks, and what a real registry does when one breaks off."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from gpuhub.errors import ProviderUnavailable
from gpuhub.oci import Reference, layer_from_files, push_image, uploads
from tests.registry.seed import seed
from tests.unit.oci.base_images import base_image, noise


@pytest.fixture(scope="module")
def registry(start_registry):
    """One that lets everybody in."""
    return start_registry("")


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    """Everything above 64 kB is large."""
    monkeypatch.setattr(uploads, "MONOLITHIC_BYTES", 64 << 10)
    monkeypatch.setattr(uploads, "CHUNK_BYTES", 48 << 10)


@dataclass
class Breaking:
    """An ``Io`` whose n-th PATCH breaks off after a share of its bytes; 1: before the answer."""

    io: Any
    number: int
    share: float
    patches: int = 0

    async def send(self, request):
        self.patches += request.method == "PATCH"
        if request.method != "PATCH" or self.patches != self.number:
            return await self.io.send(request)
        if self.share == 1:
            await self.io.send(request)
        else:
            break_off(request, self.share)
        msg = "the connection broke"
        raise ProviderUnavailable(msg, accepted=None)

    async def sleep(self, seconds):
        """Do not wait."""

    def __getattr__(self, name):
        return getattr(self.io, name)


def break_off(request, share):
    """Announce a whole chunk, send a part, and close."""
    place = urlsplit(request.path)
    content = request.body.read_bytes()
    head = (
        f"PATCH {place.path}?{place.query} HTTP/1.1\r\nHost: {place.netloc}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(content)}\r\n"
        f"Content-Range: {request.headers['content-range']}\r\n\r\n"
    )
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(head.encode() + content[: int(len(content) * share)])


def push(use, registry, tmp_path, repository, *breaking):
    """Push a layer of four chunks."""
    base = seed(registry.address, f"{repository}/base", base_image())
    layer = layer_from_files({"big.bin": noise(180 << 10)}, tmp_path)
    target = Reference.parse(f"{registry.address}/{repository}/mine:1")
    image = use(
        lambda io: push_image(
            Breaking(io, *breaking) if breaking else io, Reference.parse(base), [layer], target
        )
    )
    place = f"docker://{image.reference}"
    registry.skopeo("copy", "--src-tls-verify=false", place, f"dir:{tmp_path / 'copy'}")
    return image, layer


def test_a_large_layer_goes_in_chunks(use, registry, tmp_path, repository):
    """Four chunks, each sent once."""
    image, layer = push(use, registry, tmp_path, repository)
    assert layer.size < image.uploaded_bytes < layer.size + 4000
    last = ("PUT", f"/v2/{repository}/mine/manifests/1")
    chunks = [
        path for method, path in registry.writes(last) if method == "PATCH" and repository in path
    ]
    assert len(chunks) == 4


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_broken_chunk_is_made_good(use, registry, tmp_path, repository, share):
    """Whatever of the chunk arrived, the whole layer is there in the end."""
    image, layer = push(use, registry, tmp_path, repository, 2, share)
    assert layer.size < image.uploaded_bytes < 2.5 * layer.size
