"""The base images of Cog, ``cog-base``, as far as a push looks at them: tiny ones."""

from __future__ import annotations

import functools
import gzip
import io
import json
import re
import tarfile

from gpuhub_replicate.emulator.registry.store import Manifest, Store, digest_of

__all__ = ["BASE", "base_image", "base_manifest", "is_base_tag", "seed"]

BASE = "cog-base"
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_TAG = re.compile(r"^(?:cuda\d+\.\d+(?:\.\d+)?-)?python(3\.1[0-3])(?:-torch\d+\.\d+\.\d+)?$")
_TAGS = tuple(
    f"{cuda}python3.{minor}" for cuda in ("", "cuda12.4-", "cuda13.0-") for minor in range(10, 14)
)


def is_base_tag(tag: str) -> bool:
    """Whether there is a base image of this tag."""
    return _TAG.match(tag) is not None


def seed(store: Store) -> None:
    """Let a registry have some base images; others are made when they are asked for."""
    for tag in _TAGS:
        base_manifest(store, tag)


def base_manifest(store: Store, tag: str) -> Manifest:
    """Give the manifest of a base image, which is kept then."""
    found = store.repository(BASE)
    if (manifest := found.manifest(tag)) is None:
        manifest, config = base_image(tag)
        store.add(BASE, config)
        for layer in base_layers():
            store.add(BASE, layer)
        store.put(BASE, tag, manifest)
    return manifest


@functools.cache
def base_image(tag: str) -> tuple[Manifest, bytes]:
    """Make a base image: its manifest and configuration.

    Raises:
        ValueError: There is none of this tag.
    """
    match = _TAG.match(tag)
    if match is None:
        raise ValueError(f"no base image {tag}")
    layers = base_layers()
    config = json.dumps(_config(match[1], layers)).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor(_CONFIG_TYPE, config),
        "layers": [_descriptor(_LAYER_TYPE, layer) for layer in layers],
    }
    return Manifest(MANIFEST_TYPE, json.dumps(document).encode()), config


@functools.cache
def base_layers() -> tuple[bytes, ...]:
    """Give two tiny layers: a push has to handle several."""
    return _layer("etc/emulated-base", b"cog-base\n"), _layer("sbin/tini", b"#!/bin/sh\n")


def _config(python: str, layers: tuple[bytes, ...]) -> dict[str, object]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-10-20T00:00:00Z",
        "config": {
            "Env": [
                "PATH=/root/.pyenv/shims:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "DEBIAN_FRONTEND=noninteractive",
                "PYTHONUNBUFFERED=1",
                f"EMULATED_PYTHON={python}",
            ],
            "Entrypoint": ["/sbin/tini", "--"],
            "WorkingDir": "/src",
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": [digest_of(gzip.decompress(each)) for each in layers],
        },
        "history": [{"created_by": f"layer {number}"} for number in range(len(layers))],
    }


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "size": len(content), "digest": digest_of(content)}


def _layer(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)
