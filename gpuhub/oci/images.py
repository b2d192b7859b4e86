"""Images as documents: read a base, append layers, change the configuration."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gpuhub.errors import MalformedResponse, NotFound
from gpuhub.oci.blobs import Blob, read_blob
from gpuhub.oci.layers import Layer
from gpuhub.oci.media_types import (
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    INDEXES,
    MANIFESTS,
    OCI_LAYER,
)
from gpuhub.oci.reference import Reference
from gpuhub.oci.registry import Manifest, Registry

__all__ = ["Descriptor", "Image", "ImageChanges", "append", "fetch_image"]

# Images are reproducible: no time of theirs is that of the build.
_EPOCH = "1970-01-01T00:00:00Z"
_MAKER = "gpuhub"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of a blob.

    Attributes:
        media_type: What it is.
        digest: ``"sha256:…"``.
        size: Bytes.
    """

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Image:
    """An image of one platform.

    Attributes:
        manifest: As stored; its digest is the image's.
        config: The configuration, as stored.
    """

    manifest: Manifest
    config: Blob

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """Lowest first.

        Raises:
            MalformedResponse: The manifest has none.
        """
        return tuple(_descriptor(each) for each in self.manifest.json().get("layers", ()))

    def settings(self) -> dict[str, Any]:
        """The configuration's content.

        Raises:
            MalformedResponse: It is no JSON object.
        """
        content = self.config.content
        return Manifest(content if isinstance(content, bytes) else b"", "").json()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChanges:
    """What becomes different from the base. What is not set stays as it is there.

    Attributes:
        env: Variables, added to the base's; the same name replaces.
        labels: Labels, added to the base's; the same name replaces.
        entrypoint: As in a Dockerfile, a new one also forgets the base's ``cmd``.
        cmd: Arguments of the entrypoint, or the command where there is none.
        working_dir: Absolute path.
        exposed_ports: Added to the base's, such as ``"5000/tcp"``.
        user: User, or ``user:group``.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    entrypoint: Sequence[str] | None = None
    cmd: Sequence[str] | None = None
    working_dir: str | None = None
    exposed_ports: Iterable[str] = ()
    user: str | None = None


async def fetch_image(
    registry: Registry, reference: Reference, platform: str = "linux/amd64"
) -> Image:
    """Read manifest and configuration of an image.

    Args:
        registry: The reference's.
        reference: An image, or an index of images for several platforms.
        platform: Which of them, ``os/architecture`` or ``os/architecture/variant``.

    Raises:
        NotFound: There is no such image, or none for the platform.
        MalformedResponse: It is none, or of a kind that has not been written since 2017.
    """
    manifest = await registry.manifest(reference)
    if manifest.media_type in INDEXES:
        digest = _chosen(manifest, platform, reference)
        manifest = await registry.manifest(reference.pinned(digest))
    if manifest.media_type not in MANIFESTS:
        raise MalformedResponse(
            f"{reference} is no image that layers can be added to: its manifest is"
            f" {manifest.media_type or 'of no kind'}",
            next_step="build the base with a current Docker, or take another one",
        )
    config = _descriptor(manifest.json().get("config"))
    content = await read_blob(registry, reference.repository, config.digest)
    image = Image(manifest, Blob(config.digest, len(content), content))
    _check(image, reference)
    return image


def append(base: Image, layers: Sequence[Layer], changes: ImageChanges) -> Image:
    """The image that a base and further layers make; the same ones give the same digest.

    Media types stay the base's: of Docker, or of OCI.
    """
    document = base.manifest.json()
    config = Blob.of(_canonical(_changed(base.settings(), layers, changes)))
    is_docker = base.manifest.media_type == DOCKER_MANIFEST
    kind = DOCKER_LAYER if is_docker else OCI_LAYER
    added = [{"mediaType": kind, "digest": each.digest, "size": each.size} for each in layers]
    document["config"] = {
        "mediaType": document["config"]["mediaType"],
        "digest": config.digest,
        "size": config.size,
    }
    document["layers"] = [*document["layers"], *added]
    document["mediaType"] = base.manifest.media_type
    return Image(replace(base.manifest, content=_canonical(document)), config)


def _changed(
    settings: dict[str, Any], layers: Sequence[Layer], changes: ImageChanges
) -> dict[str, Any]:
    run = dict(settings.get("config") or {})
    run["Env"] = _merged_env(run.get("Env") or [], changes.env)
    if changes.labels:
        run["Labels"] = {**(run.get("Labels") or {}), **changes.labels}
    if ports := list(changes.exposed_ports):
        run["ExposedPorts"] = {**(run.get("ExposedPorts") or {}), **{port: {} for port in ports}}
    if changes.entrypoint is not None:
        run["Entrypoint"], run["Cmd"] = list(changes.entrypoint), None
    if changes.cmd is not None:
        run["Cmd"] = list(changes.cmd)
    if changes.working_dir is not None:
        run["WorkingDir"] = changes.working_dir
    if changes.user is not None:
        run["User"] = changes.user
    root = settings["rootfs"]
    history = [
        {"created": _EPOCH, "created_by": _MAKER, "comment": each.comment} for each in layers
    ]
    return {
        **settings,
        "config": run,
        "rootfs": {**root, "diff_ids": [*root["diff_ids"], *(each.diff_id for each in layers)]},
        "history": [*(settings.get("history") or []), *history],
    }


def _merged_env(base: Sequence[str], added: Mapping[str, str]) -> list[str]:
    """Replaced in place, so that the order of the base stays; new ones sorted at the end."""
    merged = dict(line.partition("=")[::2] for line in base)
    merged.update({name: added[name] for name in sorted(added)})
    return [f"{name}={value}" for name, value in merged.items()]


def _canonical(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _chosen(index: Manifest, platform: str, reference: Reference) -> str:
    entries = [each for each in index.json().get("manifests", ()) if isinstance(each, dict)]
    offered = {_platform(each): str(each.get("digest")) for each in reversed(entries)}
    for name, digest in offered.items():
        if name == platform or name.startswith(f"{platform}/"):
            return digest
    known = sorted(name for name in offered if not name.startswith("unknown/"))
    raise NotFound(
        f"{reference} has no image for {platform}; it has {', '.join(known) or 'none'}",
        next_step=f"take a base image that is built for {platform}",
    )


def _platform(entry: Mapping[str, Any]) -> str:
    found = entry.get("platform") or {}
    parts = (found.get("os"), found.get("architecture"), found.get("variant"))
    return "/".join(str(part) for part in parts if part)


def _descriptor(found: Any) -> Descriptor:
    try:
        return Descriptor(str(found["mediaType"]), str(found["digest"]), int(found["size"]))
    except (KeyError, TypeError, ValueError):
        raise MalformedResponse(
            "the manifest of the base image names a blob without type, digest or size",
            next_step="take another base image",
        ) from None


def _check(image: Image, reference: Reference) -> None:
    root = image.settings().get("rootfs")
    known = root.get("diff_ids") if isinstance(root, dict) else None
    if not isinstance(known, list) or len(known) != len(image.layers):
        raise MalformedResponse(
            f"the configuration of {reference} does not list the layers of its manifest",
            next_step="take another base image",
        )
