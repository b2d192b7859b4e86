"""Uploads: blobs, mounts and images."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from gpuhub_modal.emulator.problems import missing
from gpuhub_modal.emulator.rpc import Asked, rpc
from gpuhub_modal.emulator.store.files import MountedFile

if TYPE_CHECKING:
    from gpuhub_modal.emulator.site import Site
    from gpuhub_modal.emulator.store import Store
    from gpuhub_modal.emulator.store.images import Image

__all__ = ["FilePlane", "ImagePlane"]

_SCRIPTED = "the build of this image was told to fail"


class FilePlane:
    """RPCs about blobs and mounts.

    Args:
        site: What all parts share.
        store: The files.
        address: Gives the address of a blob; starts to serve them.
    """

    def __init__(self, site: Site, store: Store, address: Callable[[str], str]) -> None:
        self._site = site
        self._files = store.files
        self._address = address

    @rpc("BlobCreate", "upload", caller="anyone")
    async def create_blob(self, asked: Asked) -> Any:
        """Tell where to upload a blob."""
        pb, message = self._site.pb, asked.message
        with self._site.change():
            blob = self._files.new_blob(message.content_length, message.content_md5)
        url = self._address(blob.id)
        return pb.BlobCreateResponse(
            blob_id=blob.id,
            upload_url=url,
            blob_ids=[blob.id],
            upload_urls=pb.UploadUrlList(items=[url]),
        )

    @rpc("BlobGet", "download", caller="anyone")
    async def get_blob(self, asked: Asked) -> Any:
        """Tell where to download a blob."""
        with self._site.change():
            self._files.blob_content(asked.message.blob_id)
        return self._site.pb.BlobGetResponse(download_url=self._address(asked.message.blob_id))

    @rpc("MountBatchedCheckExistence", "list", caller="anyone")
    async def check(self, asked: Asked) -> Any:
        """Tell which files are not here yet."""
        with self._site.change():
            lacking = self._files.lacking(asked.message.sha256_hex_hashes)
        return self._site.pb.MountBatchedCheckExistenceResponse(missing_sha256_hex_hashes=lacking)

    @rpc("MountPutFile", "upload", caller="anyone")
    async def put(self, asked: Asked) -> Any:
        """Take a file, or tell whether it is here."""
        message = asked.message
        with self._site.change():
            kind = message.WhichOneof("data_oneof")
            if kind is not None:
                is_blob = kind == "data_blob_id"
                content = (
                    self._files.blob_content(message.data_blob_id) if is_blob else message.data
                )
                self._files.put(message.sha256_hex, content)
            exists = not self._files.lacking([message.sha256_hex])
        return self._site.pb.MountPutFileResponse(exists=exists)

    @rpc("MountGetOrCreate", "upload", caller="anyone")
    async def mount(self, asked: Asked) -> Any:
        """Make a mount of uploaded files, or find one by name."""
        pb, message = self._site.pb, asked.message
        with self._site.change():
            if message.deployment_name and not message.files:
                mount_id = self._files.named_mount(
                    message.namespace, message.environment_name, message.deployment_name
                )
            else:
                mount_id = self._files.mount(
                    MountedFile(each.filename, each.sha256_hex, each.mode) for each in message.files
                )
            checksum = self._files.checksum(mount_id)
            return pb.MountGetOrCreateResponse(
                mount_id=mount_id,
                handle_metadata=pb.MountHandleMetadata(content_checksum_sha256_hex=checksum),
            )


class ImagePlane:
    """RPCs about images.

    Args:
        site: What all parts share.
        store: The images.
    """

    def __init__(self, site: Site, store: Store) -> None:
        self._site = site
        self._images = store.images

    @rpc("ImageGetOrCreate", "build", caller="anyone")
    async def get_or_create(self, asked: Asked) -> Any:
        """Find an image with this content, or begin to build one."""
        message = asked.message
        with self._site.change():
            fault = self._site.faults.take("image build")
            failure = (fault.message or _SCRIPTED) if fault is not None else ""
            image = self._images.get_or_create(
                message.image,
                message.builder_version or self._site.options.builder_version,
                anew=message.force_build or message.ignore_cache,
                failure=failure,
            )
            pb = self._site.pb
            if not image.was_asked:
                return pb.ImageGetOrCreateResponse(image_id=image.id)
            return pb.ImageGetOrCreateResponse(
                image_id=image.id, result=self._result(image), metadata=self._shown(image)
            )

    @rpc("ImageJoinStreaming", "build log", caller="anyone")
    async def join(self, asked: Asked) -> AsyncIterator[Any]:
        """Tell of a build as it goes on."""
        pb, message = self._site.pb, asked.message
        with self._site.change():
            image = self._images.get(message.image_id)
            image.was_asked = not image.failure
            wall = self._site.wall
        first = int(message.last_entry_id or 0)
        logs = [
            pb.TaskLogs(data=f"{line}\n", timestamp=wall, file_descriptor=pb.FILE_DESCRIPTOR_STDOUT)
            for line in image.log
        ]
        yield pb.ImageJoinStreamingResponse(task_logs=logs[first:], entry_id=str(len(logs)))
        yield pb.ImageJoinStreamingResponse(
            result=self._result(image), metadata=self._shown(image), eof=True
        )

    @rpc("ImageFromId", "find", caller="anyone")
    async def from_id(self, asked: Asked) -> Any:
        """Find an image by its id."""
        with self._site.change():
            image = self._images.get(asked.message.image_id)
            return self._site.pb.ImageFromIdResponse(image_id=image.id, metadata=self._shown(image))

    @rpc("ImageGetByTag", "find", caller="anyone")
    async def by_name(self, asked: Asked) -> Any:
        """Find a published image by its name."""
        with self._site.change():
            image_id = self._images.names.get(asked.message.tag)
            if image_id is None:
                raise missing(f"Image '{asked.message.tag}'")
            return self._site.pb.ImageGetByTagResponse(image_id=image_id)

    @rpc("ImagePublish", "build", caller="anyone")
    async def publish(self, asked: Asked) -> Any:
        """Give an image a name."""
        with self._site.change():
            image = self._images.get(asked.message.image_id)
            self._images.names[asked.message.tag] = image.id
        return self._site.pb.ImagePublishResponse(image_id=image.id)

    def _result(self, image: Image) -> Any:
        pb = self._site.pb
        statuses = pb.GenericResult
        if image.failure:
            return pb.GenericResult(
                status=statuses.GENERIC_STATUS_FAILURE, exception=image.failure, exitcode=1
            )
        return pb.GenericResult(status=statuses.GENERIC_STATUS_SUCCESS)

    def _shown(self, image: Image) -> Any:
        return self._site.pb.ImageMetadata(
            image_builder_version=image.builder, workdir=self._images.workdir([image])
        )
