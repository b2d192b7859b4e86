"""Tiny images to start from, made without the code under test."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import Any

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker"
KINDS: dict[str, tuple[str, str, str]] = {
    "oci": (f"{OCI}.manifest.v1+json", f"{OCI}.config.v1+json", f"{OCI}.layer.v1.tar+gzip"),
    "docker": (
        f"{DOCKER}.distribution.manifest.v2+json",
        f"{DOCKER}.container.image.v1+json",
        f"{DOCKER}.image.rootfs.diff.tar.gzip",
    ),
}
INDEXES = {
    "oci": f"{OCI}.index.v1+json",
    "docker": f"{DOCKER}.distribution.manifest.list.v2+json",
}


def digest_of(content: bytes) -> str:
    """Give ``sha256:…``."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class BaseImage:
    """An image, or an index with one; all that a registry has to store."""

    content: bytes
    media_type: str
    layer: bytes
    blobs: dict[str, bytes] = field(default_factory=dict)
    below: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return digest_of(self.content)


def base_image(kind: str = "oci", *, size: int = 3000, **run: Any) -> BaseImage:
    """Give an image of one layer with one file of so many bytes that do not compress."""
    manifest_type, config_type, layer_type = KINDS[kind]
    tar = tar_of({"etc/base-release": noise(size)})
    layer = gzip.compress(tar, mtime=0)
    settings = {
        "Env": ["PATH=/usr/bin:/bin", "LANG=C"],
        "Entrypoint": ["/sbin/tini", "--"],
        "Cmd": ["sh"],
        "Labels": {"base": "yes"},
    }
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {**settings, **run},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar)]},
            "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "base"}],
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": descriptor(config_type, config),
        "layers": [descriptor(layer_type, layer)],
    }
    blobs = {digest_of(each): each for each in (config, layer)}
    return BaseImage(json.dumps(manifest).encode(), manifest_type, layer, blobs)


def base_index(kind: str = "oci", *platforms: str) -> BaseImage:
    """Give an index with one image for each platform; the AMD64 one is ``base_image(kind)``."""
    image = base_image(kind)
    others = [base_image(kind, size=10 + number) for number in range(len(platforms))]
    found = [
        image if name == "linux/amd64" else other
        for name, other in zip(platforms, others, strict=True)
    ]
    entries = []
    for name, each in zip(platforms, found, strict=True):
        words = dict(zip(("os", "architecture", "variant"), name.split("/"), strict=False))
        entries.append({**descriptor(each.media_type, each.content), "platform": words})
    content = json.dumps(
        {"schemaVersion": 2, "mediaType": INDEXES[kind], "manifests": entries}
    ).encode()
    below = [(each.media_type, each.content) for each in found]
    blobs = {name: data for each in found for name, data in each.blobs.items()}
    return BaseImage(content, INDEXES[kind], image.layer, blobs, below)


def descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    """Give what a manifest says of a blob."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def tar_of(files: dict[str, bytes]) -> bytes:
    """Give an uncompressed archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def noise(size: int) -> bytes:
    """Give bytes that do not compress, always the same."""
    blocks = (hashlib.sha256(str(number).encode()).digest() for number in range(size // 32 + 1))
    return b"".join(blocks)[:size]
