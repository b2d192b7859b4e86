"""Secrets and volumes."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub_modal.emulator.problems import Refused, bad, missing
from gpuhub_modal.emulator.rpc import Asked, rpc

if TYPE_CHECKING:
    from gpuhub_modal.emulator.apps import Workspace
    from gpuhub_modal.emulator.site import Site
    from gpuhub_modal.emulator.store import Store
    from gpuhub_modal.emulator.store.secrets import Secret
    from gpuhub_modal.emulator.store.volumes import Volume

__all__ = ["SecretPlane", "VolumePlane"]

_BLOCK = 8 << 20


class SecretPlane:
    """RPCs about secrets; none gives a value.

    Args:
        site: What all parts share.
        workspace: Its environments.
        store: The secrets.
    """

    def __init__(self, site: Site, workspace: Workspace, store: Store) -> None:
        self._site = site
        self._workspace = workspace
        self._secrets = store.secrets

    @rpc("SecretGetOrCreate", "secret", caller="anyone")
    async def get_or_create(self, asked: Asked) -> Any:
        """Find a secret by name, or make one."""
        message = asked.message
        with self._site.change():
            secret = self._wanted(message)
            return self._site.pb.SecretGetOrCreateResponse(
                secret_id=secret.id, metadata=self._shown(secret)
            )

    @rpc("SecretList", "list")
    async def listed(self, asked: Asked) -> Any:
        """List named secrets."""
        pb = self._site.pb
        with self._site.change():
            environment = self._workspace.environment(asked.message.environment_name)
            items = [
                pb.SecretListItem(
                    label=each.name,
                    created_at=each.created_at,
                    last_used_at=each.used_at,
                    environment_name=environment,
                    secret_id=each.id,
                    metadata=self._shown(each),
                )
                for each in self._secrets.all.values()
                if each.name and each.environment == environment
            ]
            before = asked.message.pagination.created_before
            if before:
                items = [each for each in items if each.created_at < before]
        return pb.SecretListResponse(items=items, environment_name=environment)

    @rpc("SecretGetInfo", "find")
    async def info(self, asked: Asked) -> Any:
        """Describe a secret."""
        with self._site.change():
            secret = self._secrets.get(asked.message.secret_id)
            return self._site.pb.SecretGetInfoResponse(metadata=self._shown(secret))

    @rpc("SecretUpdate", "secret")
    async def update(self, asked: Asked) -> Any:
        """Change values of a secret."""
        with self._site.change():
            secret = self._secrets.get(asked.message.secret_id)
            for change in asked.message.updates:
                if change.HasField("value"):
                    secret.values[change.key] = change.value
                else:
                    secret.values.pop(change.key, None)
        return self._site.wire.empty()

    @rpc("SecretDelete", "delete")
    async def delete(self, asked: Asked) -> Any:
        """Delete a secret."""
        with self._site.change():
            self._secrets.delete(asked.message.secret_id)
        return self._site.wire.empty()

    def _wanted(self, message: Any) -> Secret:
        kind = self._site.wire.name_of("ObjectCreationType", message.object_creation_type)
        environment = self._workspace.environment(message.environment_name)
        name = message.deployment_name
        if kind == "UNSPECIFIED":
            return self._secrets.find(environment, name, message.required_keys)
        if kind in ("ANONYMOUS_OWNED_BY_APP", "EPHEMERAL"):
            return self._secrets.create(environment, "", message.env_dict)
        known = self._secrets.named(environment, name)
        if kind == "CREATE_IF_MISSING" and known is not None:
            return known
        replace = kind == "CREATE_OVERWRITE_IF_EXISTS"
        return self._secrets.create(environment, name, message.env_dict, replace=replace)

    def _shown(self, secret: Secret) -> Any:
        pb = self._site.pb
        return pb.SecretMetadata(
            name=secret.name,
            creation_info=pb.CreationInfo(created_at=secret.created_at, created_by="emulator"),
            keys=sorted(secret.values),
            environment_name=secret.environment,
        )


class VolumePlane:
    """RPCs about volumes, of the first version of their file system.

    Args:
        site: What all parts share.
        workspace: Its environments.
        store: The volumes, and the files that are put into them.
        address: Gives the address of a blob; starts to serve them.
    """

    def __init__(
        self, site: Site, workspace: Workspace, store: Store, address: Callable[[str], str]
    ) -> None:
        self._site = site
        self._workspace = workspace
        self._volumes = store.volumes
        self._files = store.files
        self._address = address

    @rpc("VolumeGetOrCreate", "volume", caller="anyone")
    async def get_or_create(self, asked: Asked) -> Any:
        """Find a volume by name, or make one."""
        message, pb = asked.message, self._site.pb
        with self._site.change():
            environment = self._workspace.environment(message.environment_name)
            kind = self._site.wire.name_of("ObjectCreationType", message.object_creation_type)
            known = self._volumes.named(environment, message.deployment_name)
            if kind == "UNSPECIFIED" and known is None:
                raise Refused(
                    "NOT_FOUND",
                    f"Volume '{message.deployment_name}' not found in environment '{environment}'",
                )
            fresh = kind in ("EPHEMERAL", "CREATE_FAIL_IF_EXISTS") or known is None
            version = pb.VOLUME_FS_VERSION_V1
            name = "" if kind == "EPHEMERAL" else message.deployment_name
            volume = self._volumes.create(environment, name, version) if fresh else known
            if volume is None:
                raise missing(f"Volume '{name}'")
            return pb.VolumeGetOrCreateResponse(
                volume_id=volume.id, version=volume.version, metadata=self._shown(volume)
            )

    @rpc("VolumeGetById", "find", caller="anyone")
    async def by_id(self, asked: Asked) -> Any:
        """Find a volume by its id."""
        with self._site.change():
            volume = self._volumes.get(asked.message.volume_id)
            return self._site.pb.VolumeGetByIdResponse(
                volume_id=volume.id, metadata=self._shown(volume)
            )

    @rpc("VolumeList", "list")
    async def listed(self, asked: Asked) -> Any:
        """List named volumes."""
        pb = self._site.pb
        with self._site.change():
            environment = self._workspace.environment(asked.message.environment_name)
            items = [
                pb.VolumeListItem(
                    label=each.name,
                    volume_id=each.id,
                    created_at=each.created_at,
                    metadata=self._shown(each),
                )
                for each in self._volumes.all.values()
                if each.name and each.environment == environment
            ]
            before = asked.message.pagination.created_before
            if before:
                items = [each for each in items if each.created_at < before]
        return pb.VolumeListResponse(items=items, environment_name=environment)

    @rpc("VolumeDelete", "delete")
    async def delete(self, asked: Asked) -> Any:
        """Delete a volume."""
        with self._site.change():
            self._volumes.delete(asked.message.volume_id)
        return self._site.wire.empty()

    @rpc("VolumeRename", "volume")
    async def rename(self, asked: Asked) -> Any:
        """Give a volume another name."""
        with self._site.change():
            self._volumes.rename(asked.message.volume_id, asked.message.name)
        return self._site.wire.empty()

    @rpc("VolumeHeartbeat", "list", caller="anyone")
    async def heartbeat(self, _asked: Asked) -> Any:
        """Note that an ephemeral volume is in use."""
        return self._site.wire.empty()

    @rpc("VolumeCommit", "commit", caller="anyone")
    async def commit(self, _asked: Asked) -> Any:
        """Keep what a container wrote; here it is kept already."""
        return self._site.pb.VolumeCommitResponse(skip_reload=True)

    @rpc("VolumeReload", "list", caller="anyone")
    async def reload(self, _asked: Asked) -> Any:
        """Show what others wrote; here it is shown already."""
        return self._site.wire.empty()

    @rpc("VolumePutFiles", "upload", caller="anyone")
    async def put(self, asked: Asked) -> Any:
        """Put uploaded files into a volume."""
        message = asked.message
        with self._site.change():
            volume = self._volumes.get(message.volume_id)
            for file in message.files:
                path = volume.path(file.filename)
                if message.disallow_overwrite_existing_files and path.exists():
                    raise Refused("ALREADY_EXISTS", f"{file.filename} already exists")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._files.content(file.sha256_hex))
        return self._site.wire.empty()

    @rpc("VolumeGetFile", "find", caller="anyone")
    async def get(self, asked: Asked) -> Any:
        """Give a part of a file."""
        message = asked.message
        with self._site.change():
            path = self._volumes.get(message.volume_id).path(message.path)
            if not path.is_file():
                raise missing(f"file {message.path}")
            content = path.read_bytes()
            end = message.start + message.len if message.len else len(content)
            part = content[message.start : end]
            return self._site.pb.VolumeGetFileResponse(
                data=part, size=len(content), start=message.start, len=len(part)
            )

    @rpc("VolumeGetFile2", "find", caller="anyone")
    async def get_blocks(self, asked: Asked) -> Any:
        """Tell where to download a part of a file, block by block."""
        message = asked.message
        with self._site.change():
            path = self._volumes.get(message.volume_id).path(message.path)
            if not path.is_file():
                raise missing(f"file {message.path}")
            content = path.read_bytes()
            end = message.start + message.len if message.len else len(content)
            part = content[message.start : end]
            head = _BLOCK - message.start % _BLOCK
            edges = [0, *range(head, len(part), _BLOCK), len(part)]
            blocks = [part[first:last] for first, last in pairwise(edges)]
            blobs = [self._files.keep(block) for block in blocks if block]
        return self._site.pb.VolumeGetFile2Response(
            get_urls=[self._address(each) for each in blobs],
            size=len(content),
            start=message.start,
            len=len(part),
        )

    @rpc("VolumeListFiles", "list", caller="anyone")
    async def list_files(self, asked: Asked) -> AsyncIterator[Any]:
        """List files of a folder."""
        message, pb = asked.message, self._site.pb
        with self._site.change():
            volume = self._volumes.get(message.volume_id)
            folder = volume.path(message.path)
            if not folder.exists():
                raise missing(f"path {message.path}")
            entries = [
                pb.FileEntry(
                    path=str(each.relative_to(volume.folder)),
                    type=pb.FileEntry.DIRECTORY if each.is_dir() else pb.FileEntry.FILE,
                    mtime=int(self._site.wall),
                    size=each.stat().st_size,
                )
                for each in _below(folder, recursive=message.recursive)
            ]
        yield pb.VolumeListFilesResponse(entries=entries)

    @rpc("VolumeRemoveFile", "delete", caller="anyone")
    async def remove(self, asked: Asked) -> Any:
        """Delete a file, or a folder."""
        message = asked.message
        with self._site.change():
            path = self._volumes.get(message.volume_id).path(message.path)
            if not path.exists():
                raise missing(f"path {message.path}")
            if path.is_file():
                path.unlink()
            elif message.recursive:
                shutil.rmtree(path)
            else:
                raise bad(f"{message.path} is a directory: pass recursive=True")
        return self._site.wire.empty()

    def _shown(self, volume: Volume) -> Any:
        pb = self._site.pb
        created = pb.CreationInfo(created_at=volume.created_at, created_by="emulator")
        return pb.VolumeMetadata(version=volume.version, name=volume.name, creation_info=created)


def _below(path: Path, *, recursive: bool) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    yield from sorted(path.rglob("*") if recursive else path.iterdir())
