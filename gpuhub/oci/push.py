"""A base image and some layers, pushed as a new image."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gpuhub.adapter import Io
from gpuhub.errors import AuthFailed, SpecError
from gpuhub.oci.blobs import Blob, download_blob
from gpuhub.oci.credentials import RegistryCredentials
from gpuhub.oci.images import Descriptor, Image, ImageChanges, append, fetch_image
from gpuhub.oci.layers import Layer
from gpuhub.oci.media_types import is_foreign
from gpuhub.oci.reference import Reference
from gpuhub.oci.registry import Registry
from gpuhub.oci.uploads import upload_blob
from gpuhub.plan import Response

__all__ = ["PushProgress", "PushedImage", "push_image"]


@dataclass(frozen=True, slots=True)
class PushProgress:
    """How far a push is.

    Attributes:
        step: ``"present"``, ``"mounted"``, ``"download"``, ``"upload"`` or ``"manifest"``.
        digest: Of what is handled now.
        done: Bytes of the image that the target has.
        total: Bytes of the image.
    """

    step: str
    digest: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class PushedImage:
    """An image that is in the registry.

    Attributes:
        reference: ``registry/repository@sha256:…``, which never means another image.
        digest: Of the manifest.
        uploaded_bytes: Sent to the target, manifest and repeated chunks included.
        skipped_bytes: Of blobs that the target had or took over from another repository.
    """

    reference: Reference
    digest: str
    uploaded_bytes: int
    skipped_bytes: int


async def push_image(
    io: Io,
    base: Reference,
    layers: Sequence[Layer],
    target: Reference,
    changes: ImageChanges | None = None,
    *,
    credentials: Mapping[str, RegistryCredentials] | None = None,
    insecure: bool = False,
    progress: Callable[[PushProgress], None] = lambda _: None,
) -> PushedImage:
    """Append layers to a base image and push the result. Needs no Docker.

    Nothing that the target has is sent again, so that pushing the same image twice sends its
    manifest only.

    Args:
        io: What an adapter was given.
        base: An image for Linux on AMD64, or an index with one.
        layers: What is added, lowest first.
        target: Where to; its tag is moved to the new image.
        changes: What becomes different from the base beside the layers.
        credentials: Logins by registry; anonymous where there is none.
        insecure: Allow plain HTTP to registries on other machines.
        progress: Told what happens, from the thread that awaits.

    Raises:
        AuthFailed: A login is missing, refused, or not enough.
        NotFound: The base image or the target's repository does not exist.
        PayloadTooLarge: The registry does not take a layer of that size.
        ProviderError: The registry refused or does not answer.
        SpecError: The temporary folder cannot be written to, or the target has a digest only.
    """
    if not target.tag:
        raise SpecError(
            f"{target} cannot be pushed to: a digest is the result of a push",
            next_step="name the target registry/repository:tag",
        )
    logins = credentials or {}
    there = Registry(io, target.registry, logins.get(target.registry), insecure=insecure)
    here = there
    if base.registry != target.registry:
        here = Registry(io, base.registry, logins.get(base.registry), insecure=insecure)
    below = await fetch_image(here, base)
    image = append(below, layers, changes or ImageChanges())
    try:
        with tempfile.TemporaryDirectory(prefix="gpuhub-oci-") as scratch:
            push = _Push(there, target, here, base, image, Path(scratch), progress)
            await push.run(layers, below)
    except OSError as error:
        raise SpecError(
            f"the image cannot be pushed: {error.filename}: {error.strerror or error}",
            next_step="check the temporary folder ($TMPDIR): a base layer must fit",
        ) from error
    digest = image.manifest.digest
    return PushedImage(target.pinned(digest), digest, push.uploaded, push.skipped)


class _Push:
    """One push: counts, and the order of things."""

    def __init__(
        self,
        there: Registry,
        target: Reference,
        here: Registry,
        base: Reference,
        image: Image,
        scratch: Path,
        progress: Callable[[PushProgress], None],
    ) -> None:
        self.uploaded = 0
        self.skipped = 0
        self._there = there
        self._target = target
        self._here = here
        self._base = base
        self._image = image
        self._scratch = scratch
        self._progress = progress
        self._handled: set[str] = set()
        self._done = 0
        sizes = {each.digest: each.size for each in image.layers}
        self._total = sum(sizes.values()) + image.config.size + len(image.manifest.content)

    async def run(self, layers: Sequence[Layer], below: Image) -> None:
        # Ours first: a login that may not push is found before gigabytes of the base are copied.
        for layer in layers:
            await self._own(Blob(layer.digest, layer.size, layer.path))
        for descriptor in below.layers:
            await self._of_base(descriptor)
        await self._own(self._image.config)
        manifest = self._image.manifest
        await self._there.put_manifest(self._target, manifest)
        self.uploaded += len(manifest.content)
        self._done += len(manifest.content)
        self._tell("manifest", manifest.digest)

    async def _own(self, blob: Blob) -> None:
        if not await self._is_there(blob.digest, blob.size):
            await self._upload(blob, None)

    async def _of_base(self, layer: Descriptor) -> None:
        if is_foreign(layer.media_type) or await self._is_there(layer.digest, layer.size):
            return
        opened = None
        if self._here is self._there:
            is_mounted, opened = await self._mounted(layer.digest)
            if is_mounted:
                self._skip("mounted", layer.digest, layer.size)
                return
        report = partial(self._tell, "download", layer.digest)
        source = self._base.repository
        path = await download_blob(self._here, source, layer.digest, self._scratch, report)
        await self._upload(Blob(layer.digest, layer.size, path), opened)
        await self._there.io.run(path.unlink)

    async def _is_there(self, digest: str, size: int) -> bool:
        if digest in self._handled:  # images may have the same layer twice
            return True
        self._handled.add(digest)
        is_there = await self._there.has_blob(self._target.repository, digest)
        if is_there:
            self._skip("present", digest, size)
        return is_there

    async def _mounted(self, digest: str) -> tuple[bool, Response | None]:
        """Whether the target took a blob over from the base's repository, or else an upload."""
        try:
            answer = await self._there.mount(self._target.repository, digest, self._base.repository)
        except AuthFailed:  # it may write to the target, but not read the base with one login
            return False, None
        if answer is None:
            return True, None
        return False, answer if answer.status == 202 else None

    async def _upload(self, blob: Blob, opened: Response | None) -> None:
        self.uploaded += await upload_blob(
            self._there,
            self._target.repository,
            blob,
            scratch=self._scratch,
            opened=opened,
            progress=partial(self._tell, "upload", blob.digest),
        )
        self._done += blob.size

    def _skip(self, step: str, digest: str, size: int) -> None:
        self.skipped += size
        self._done += size
        self._tell(step, digest)

    def _tell(self, step: str, digest: str, part: int = 0) -> None:
        """Report; ``part`` counts when it is on its way to the target."""
        done = self._done + (part if step == "upload" else 0)
        self._progress(PushProgress(step, digest, done, self._total))
