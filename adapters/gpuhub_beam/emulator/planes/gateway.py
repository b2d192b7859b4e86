"""The gateway's gRPC methods, whichever way they are called: gRPC, or JSON over HTTP."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub_beam.emulator import bodies
from gpuhub_beam.emulator.bodies import read_message
from gpuhub_beam.emulator.objects import HASH_HEADER
from gpuhub_beam.emulator.stubs import config_of, gpus_of, timestamp

if TYPE_CHECKING:
    from gpuhub_beam.emulator.objects import Objects
    from gpuhub_beam.emulator.site import Site
    from gpuhub_beam.emulator.stubs import Deployment
    from gpuhub_beam.emulator.workspace import Workspace

__all__ = ["Gateway"]

Json = dict[str, Any]

_NOT_FOUND = {"ok": False, "errMsg": "Deployment not found"}
_ROLLOUTS = ("", "auto", "blue-green", "replace")


class Gateway:
    """``GatewayService``, ``VolumeService`` and what they share.

    Args:
        site: What all parts share.
        workspace: Whose gateway.
        objects: Its storage.
    """

    def __init__(self, site: Site, workspace: Workspace, objects: Objects) -> None:
        self._site = site
        self._workspace = workspace
        self._objects = objects

    # Objects

    async def head_object(self, asked: Json) -> Json:
        """Say whether there is an object of a hash."""
        with self._site.change():
            stored = self._objects.with_hash(str(asked.get("hash", "")))
            facts: Json = {"ok": True, "useWorkspaceStorage": self._site.options.has_storage}
            wants_hash = str(asked.get("supportsPutHeaders", "")).lower() == "true"
            if stored is None or not stored.has_content or (wants_hash and not stored.has_hash):
                return facts
            metadata = {"name": stored.hash, "size": str(stored.size)}
            return {**facts, "exists": True, "objectMetadata": metadata, "objectId": stored.id}

    async def create_object(self, asked: Json) -> Json:
        """Give where an object is to be uploaded."""
        body = read_message(bodies.CreateObject, asked)
        if not self._site.options.has_storage:
            return {"ok": False, "errorMsg": "Workspace storage is unavailable"}
        with self._site.change():
            known = self._objects.with_hash(body.hash)
            if known is not None and known.has_content and not body.overwrite:
                return {"ok": True, "objectId": known.id}
            stored = self._objects.create(body.hash, body.size)
            part, total = body.multipart_part_size, body.multipart_total_size
            if 0 < part < total:
                upload, parts = self._objects.begin_parts(stored, part, total)
                facts = {"objectId": stored.id, "uploadId": upload, "uploadParts": parts}
                return {"ok": True, **facts}
            signed = body.supports_put_headers and body.hash
            headers = {HASH_HEADER: body.hash} if signed else {}
            url = self._objects.presigned(f"objects/{stored.id}", headers)
            return {"ok": True, "objectId": stored.id, "presignedUrl": url, "putHeaders": headers}

    async def complete_upload(self, asked: Json) -> Json:
        """Put the parts of an upload together."""
        body = read_message(bodies.CompleteObjectUpload, asked)
        with self._site.change():
            parts = [(part.number, part.etag) for part in body.parts]
            problem = self._objects.complete(body.upload_id, parts)
            return {"ok": not problem, "errorMsg": problem}

    async def create_delta(self, asked: Json) -> Json:
        """Give where the changed files of an object are to be uploaded."""
        body = read_message(bodies.CreateObjectDelta, asked)
        with self._site.change():
            base = self._objects.content(body.base_object_id)
            if base is None:
                return {"ok": False, "baseMissing": True}
            stored = self._objects.create(body.hash, body.size)
            url = self._objects.begin_delta(stored)
            return {"ok": True, "objectId": stored.id, "presignedUrl": url}

    async def commit_delta(self, asked: Json) -> Json:
        """Merge a delta with what it is based on."""
        body = read_message(bodies.CommitObjectDelta, asked)
        with self._site.change():
            stored = self._objects.by_id[body.object_id]
            base = self._objects.by_id[body.base_object_id]
            self._objects.merge(stored, base, body.removed_paths)
            return {"ok": True, "objectId": stored.id, "size": str(stored.size)}

    async def put_object_stream(self, asked: list[Json]) -> Json:
        """Take an object by gRPC, as workspaces without storage do."""
        with self._site.change():
            content = b"".join(base64.b64decode(each.get("objectContent", "")) for each in asked)
            stored = self._objects.create(str(asked[0].get("hash", "")), len(content))
            stored.path.write_bytes(content)
            stored.has_content = stored.has_hash = True
            return {"ok": True, "objectId": stored.id}

    # Volumes

    async def volume(self, asked: Json) -> Json:
        """Give a volume; made when there is none."""
        body = read_message(bodies.GetOrCreateVolume, asked)
        with self._site.change():
            volumes = self._workspace.volumes
            volume_id = volumes.setdefault(body.name, self._site.new_id())
            wall = timestamp(self._site.timeline.wall())
            facts = {"id": volume_id, "name": body.name, "createdAt": wall, "updatedAt": wall}
            return {"ok": True, "volume": {**facts, "workspaceId": self._site.workspace_id}}

    # Stubs

    async def stub(self, asked: Json) -> Json:
        """Make a stub."""
        body = read_message(bodies.GetOrCreateStub, asked)
        with self._site.change():
            if problem := self._problem_of(body):
                return {"ok": False, "errMsg": problem}
            app = self._workspace.app(body.app_name or body.name)
            config = config_of(body)
            stub = self._workspace.add_stub(body.name, body.stub_type, config, body.object_id, app)
            return {"ok": True, "stubId": stub.id, **self._capacity(body)}

    async def deploy(self, asked: Json) -> Json:
        """Make a stub the next version of a name."""
        body = read_message(bodies.DeployStub, asked)
        with self._site.change():
            stub = self._workspace.stubs.get(body.stub_id)
            if stub is None:
                return {"ok": False}
            if body.rollout not in _ROLLOUTS:
                words = "unsupported rollout mode; expected auto, blue-green, or replace"
                return {"ok": False, "errMsg": words}
            deployment = self._workspace.deploy(stub, body.name)
            return {
                "ok": True,
                "deploymentId": deployment.id,
                "version": deployment.version,
                "invokeUrl": deployment.url(self._site.url),
            }

    async def url(self, asked: Json) -> Json:
        """Give the address of a deployment."""
        with self._site.change():
            deployment = self._workspace.deployment(str(asked.get("deploymentId", "")))
            stub = self._workspace.stubs.get(str(asked.get("stubId", "")))
            if stub is None:
                return {"ok": False, "errMsg": "Invalid stub ID"}
            if not stub.is_deployment:
                return {"ok": True, "url": f"{self._site.url}/{stub.kind}/id/{stub.id}"}
            if not asked.get("deploymentId"):
                return {"ok": False, "errMsg": "Deployment ID is required"}
            if deployment is None:
                return {"ok": False, "errMsg": "Unable to get deployment"}
            return {"ok": True, "url": deployment.url(self._site.url)}

    # Deployments

    async def deployments(self, _asked: Json) -> Json:
        """List the deployments, newest first."""
        with self._site.change():
            shown = [
                self._listed(each) for each in self._workspace.deployments if not each.is_deleted
            ]
            return {"ok": True, "deployments": shown[::-1]}

    async def start(self, asked: Json) -> Json:
        """Let a stopped version serve again."""
        return self._changed(asked, active=True)

    async def stop(self, asked: Json) -> Json:
        """Stop a version."""
        return self._changed(asked, active=False)

    async def delete(self, asked: Json) -> Json:
        """Stop a version and forget it."""
        with self._site.change():
            deployment = self._workspace.deployment(str(asked.get("id", "")))
            if deployment is None:
                return _NOT_FOUND
            self._workspace.delete(deployment)
            return {"ok": True}

    async def scale(self, asked: Json) -> Json:
        """Refuse: only pods are scaled like that, and the emulator has none."""
        body = read_message(bodies.ScaleDeployment, asked)
        with self._site.change():
            if self._workspace.deployment(body.id) is None:
                return _NOT_FOUND
            words = "This type of deployment cannot be scaled directly."
            return {"ok": False, "errMsg": words}

    async def stop_tasks(self, asked: Json) -> Json:
        """Cancel tasks."""
        body = read_message(bodies.StopTasks, asked)
        with self._site.change():
            for task_id in body.task_ids:
                task = self._workspace.tasks.get(task_id)
                if task is None:
                    return {"ok": False, "errMsg": f"task {task_id} not found"}
                self._workspace.desk(task.stub).cancel(task)
            return {"ok": True}

    async def authorize(self, _asked: Json) -> Json:
        """Say whose token it is."""
        return {"ok": True, "workspaceId": self._site.workspace_id, "newToken": ""}

    def _changed(self, asked: Mapping[str, Any], *, active: bool) -> Json:
        with self._site.change():
            deployment = self._workspace.deployment(str(asked.get("id", "")))
            if deployment is None:
                return _NOT_FOUND
            self._workspace.set_active(deployment, active=active)
            return {"ok": True}

    def _listed(self, deployment: Deployment) -> Json:
        return {
            "id": deployment.id,
            "name": deployment.name,
            "active": deployment.active,
            "stubId": deployment.stub.id,
            "stubType": deployment.stub.type,
            "stubName": deployment.stub.name,
            "version": deployment.version,
            "workspaceId": self._site.workspace_id,
            "workspaceName": "emulated",
            "createdAt": timestamp(deployment.created_at),
            "updatedAt": timestamp(deployment.updated_at),
            "appId": deployment.stub.app.id,
        }

    def _problem_of(self, body: bodies.GetOrCreateStub) -> str:
        """Say why a stub is refused, in the gateway's words; empty when it is not."""
        options, several = self._site.options, body.gpu_count > 1
        cores, gib = options.most_millicores // 1000, options.most_memory_mb / 1024
        rules = {
            "CPU and memory must be greater than 0.": min(body.cpu, body.memory) <= 0,
            f"CPU must be {cores} cores or less.": body.cpu > options.most_millicores,
            f"Memory must be {gib:g} GiB or less.": body.memory > options.most_memory_mb,
            f"GPU count must be {options.most_gpus} or less.": body.gpu_count > options.most_gpus,
            "Multi-GPU containers are not enabled for this workspace.": several
            and not options.allows_several_gpus,
            "Checkpoints are yet not supported for multi-GPU": several and body.checkpoint_enabled,
            "Checkpoints are yet not supported between multiple GPUs": body.checkpoint_enabled
            and len(gpus_of(body)) > 1,
        }
        broken = next((words for words, is_broken in rules.items() if is_broken), "")
        return broken or self._missing_parts(body)

    def _missing_parts(self, body: bodies.GetOrCreateStub) -> str:
        secrets = self._workspace.secrets
        for secret in body.secrets:
            if secret.name not in secrets:
                return f'Secret "{secret.name}" does not exist in this workspace.'
        for volume in body.volumes:
            if volume.config is not None:
                for name in (volume.config.access_key, volume.config.secret_key):
                    if name not in secrets:
                        return f"Failed to get secret: {name}"
        if body.object_id and body.object_id not in self._objects.by_id:
            return "Failed to prepare stub object"
        return ""

    def _capacity(self, body: bodies.GetOrCreateStub) -> Json:
        gpus, options = gpus_of(body), self._site.options
        if not gpus:
            return {}
        known = options.gpus
        lacking = [gpu for gpu in gpus if known is not None and gpu not in known and gpu != "any"]
        if len(lacking) == len(gpus):
            return {"capacityStatus": "none", "unsupportedGpus": lacking}
        low = [gpu for gpu in gpus if gpu in options.low_gpus]
        facts: Json = {"capacityStatus": "low" if low else "available"}
        if low:
            facts["warnMsg"] = f"GPU capacity for {', '.join(low)} is currently low."
        return facts if not lacking else {**facts, "unsupportedGpus": lacking}
