"""``/v2/``: the distribution API, and what happens when a manifest arrives."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuhub_replicate.emulator.models import Image, Model
from gpuhub_replicate.emulator.problems import RegistryProblem
from gpuhub_replicate.emulator.registry.base import BASE, base_manifest, is_base_tag
from gpuhub_replicate.emulator.registry.labels import env_of, image_problem, labels_of, schema_of
from gpuhub_replicate.emulator.registry.login import Login
from gpuhub_replicate.emulator.registry.store import Manifest, Store, digest_of
from gpuhub_replicate.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.account import Account

__all__ = ["RegistryPlane", "check_digest"]

_BROKEN = "the build is broken: the image's runner cannot be imported"
_RANGE = re.compile(r"^(?:bytes )?(\d+)-(\d+)$")


class RegistryPlane:
    """Handlers; each takes the repository.

    Args:
        account: Whose models can be pushed to.
        store: Keeps everything.
    """

    def __init__(self, account: Account, store: Store) -> None:
        self._account = account
        self._site = account.site
        self._store = store
        self.login = Login(account)

    async def ping(self, request: Request) -> Answer:
        """``GET /v2/``."""
        self.login.require(request, "", "pull")
        return Answer.of({})

    async def tags(self, request: Request, name: str) -> Answer:
        """``GET /v2/{name}/tags/list``."""
        self.login.require(request, name, "pull")
        with self._site.change():
            self._readable(name)
            return Answer.of({"name": name, "tags": sorted(self._store.repository(name).tags)})

    async def manifest(self, request: Request, name: str, reference: str) -> Answer:
        """``GET`` and ``HEAD /v2/{name}/manifests/{reference}``."""
        self.login.require(request, name, "pull")
        with self._site.change():
            self._readable(name)
            if name == BASE and is_base_tag(reference):
                base_manifest(self._store, reference)
            manifest = self._store.repository(name).manifest(reference)
            if manifest is None:
                raise RegistryProblem(404, "MANIFEST_UNKNOWN", f"manifest unknown: {reference}")
            headers = {"Docker-Content-Digest": manifest.digest}
            return _content(request, manifest.content, manifest.media_type, headers)

    async def put_manifest(self, request: Request, name: str, reference: str) -> Answer:
        """``PUT /v2/{name}/manifests/{reference}``: makes a version of the model."""
        self.login.require(request, name, "push")
        with self._site.change():
            model = self._model(name)
            kind = request.headers.get("content-type", "")
            manifest = Manifest(kind, request.body)
            check_digest(reference, manifest)
            self._add(model, manifest, self._checked(name, manifest))
            self._store.put(name, reference, manifest)
        headers = {
            "Docker-Content-Digest": manifest.digest,
            "Location": f"/v2/{name}/manifests/{manifest.digest}",
        }
        return Answer(201, b"", headers)

    async def blob(self, request: Request, name: str, digest: str) -> Answer:
        """``GET`` and ``HEAD /v2/{name}/blobs/{digest}``."""
        self.login.require(request, name, "pull")
        with self._site.change():
            self._readable(name)
            content = self._store.blob(name, digest)
            if content is None:
                raise RegistryProblem(404, "BLOB_UNKNOWN", f"blob unknown to registry: {digest}")
            headers = {"Docker-Content-Digest": digest}
            return _content(request, content, "application/octet-stream", headers)

    async def begin(self, request: Request, name: str) -> Answer:
        """``POST /v2/{name}/blobs/uploads/``: begin one, or take over what another one has."""
        self.login.require(request, name, "push")
        digest, source = request.query.get("mount", ""), request.query.get("from", "")
        if digest and source:
            self.login.require(request, source, "pull")
        with self._site.change():
            self._model(name)
            if digest and source and self._store.mount(name, digest, source):
                return _stored(name, digest)
            upload = secrets.token_hex(16)
            self._store.uploads[upload] = bytearray()
            if "digest" in request.query:
                self._store.uploads[upload] += request.body
                return self._finished(name, upload, request.query["digest"])
            return _under_way(name, upload, 0)

    async def upload(self, request: Request, name: str, upload: str) -> Answer:
        """``PATCH``, ``PUT`` and ``GET`` of an upload under way."""
        self.login.require(request, name, "push")
        with self._site.change():
            arrived = self._store.uploads.get(upload)
            if arrived is None:
                raise RegistryProblem(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown")
            if request.method == "GET":
                return _under_way(name, upload, len(arrived), 204)
            self._append(arrived, request)
            if request.method == "PATCH":
                return _under_way(name, upload, len(arrived))
            return self._finished(name, upload, request.query.get("digest", ""))

    def _append(self, arrived: bytearray, request: Request) -> None:
        match = _RANGE.match(request.headers.get("content-range", ""))
        if match is not None and int(match[1]) != len(arrived):
            raise RegistryProblem(416, "RANGE_INVALID", f"{len(arrived)} bytes have arrived")
        arrived += request.body

    def _finished(self, name: str, upload: str, digest: str) -> Answer:
        content = bytes(self._store.uploads.pop(upload))
        if digest_of(content) != digest:
            raise RegistryProblem(400, "DIGEST_INVALID", "provided digest did not match")
        self._store.add(name, content)
        return _stored(name, digest)

    def _readable(self, name: str) -> None:
        """Refuse to read what there is not, or what is somebody else's secret."""
        if name == BASE:
            return
        model = self._account.models.get(name)
        if model is None or not (model.is_ours or model.visibility == "public"):
            raise RegistryProblem(404, "NAME_UNKNOWN", "model does not exist")

    def _model(self, name: str) -> Model:
        """Find the model that is pushed to.

        Raises:
            RegistryProblem: 404, there is none; 403, it is not the account's.
        """
        if name == BASE:
            raise RegistryProblem(403, "DENIED", "requested access to the resource is denied")
        model = self._account.models.get(name)
        if model is None:
            raise RegistryProblem(404, "NAME_UNKNOWN", "model does not exist")
        if not model.is_ours:
            raise RegistryProblem(403, "DENIED", "requested access to the resource is denied")
        return model

    def _checked(self, name: str, manifest: Manifest) -> _Documents:
        """Read an image, or say what is wrong with it."""
        documents = self._documents(name, manifest)
        if (fault := self._site.faults.take("manifest")) is not None:
            raise RegistryProblem(400, "MANIFEST_INVALID", fault.message or _BROKEN)
        if (problem := image_problem(documents.config)) is not None:
            raise problem
        known = self._account.version(_version_of(manifest))
        if known is not None and known.model != name:
            words = f"the image is a version of {known.model} already"
            raise RegistryProblem(400, "MANIFEST_INVALID", words)
        return documents

    def _add(self, model: Model, manifest: Manifest, documents: _Documents) -> None:
        """Make a version of an image."""
        labels = labels_of(documents.config)
        base = self._store.repository(BASE).blobs
        layers = [each["digest"] for each in documents.manifest["layers"]]
        image = Image(
            tuple(each for each in layers if each not in base),
            lambda digest: self._read(model.path, digest) or b"",
            env_of(documents.config),
        )
        version_id = _version_of(manifest)
        self._account.add_version(model, version_id, image, labels, schema_of(labels))

    def _documents(self, name: str, manifest: Manifest) -> _Documents:
        """Read manifest and configuration.

        Raises:
            RegistryProblem: They are none, or name what was not pushed.
        """
        try:
            document = json.loads(manifest.content)
            wanted = [document["config"]["digest"], *(one["digest"] for one in document["layers"])]
        except (ValueError, KeyError, TypeError):
            raise RegistryProblem(400, "MANIFEST_INVALID", "manifest invalid") from None
        for digest in wanted:
            if self._read(name, digest) is None:
                words = f"blob unknown to registry: {digest}"
                raise RegistryProblem(400, "MANIFEST_BLOB_UNKNOWN", words)
        return _Documents(document, dict(json.loads(self._read(name, wanted[0]) or b"{}")))

    def _read(self, name: str, digest: str) -> bytes | None:
        """Give a blob of a repository's."""
        return self._store.blob(name, digest)


@dataclass(frozen=True, slots=True)
class _Documents:
    """Manifest and configuration of an image."""

    manifest: dict[str, Any]
    config: dict[str, Any]


def check_digest(reference: str, manifest: Manifest) -> None:
    """Refuse a manifest under another one's digest.

    Raises:
        RegistryProblem: 400.
    """
    if reference.startswith("sha256:") and reference != manifest.digest:
        raise RegistryProblem(400, "DIGEST_INVALID", "provided digest did not match")


def _version_of(manifest: Manifest) -> str:
    return manifest.digest.removeprefix("sha256:")


def _content(request: Request, content: bytes, kind: str, headers: dict[str, str]) -> Answer:
    if request.method == "HEAD":
        return Answer(200, b"", {**headers, "Content-Length": str(len(content))}, kind)
    return Answer(200, content, headers, kind)


def _stored(name: str, digest: str) -> Answer:
    headers = {"Docker-Content-Digest": digest, "Location": f"/v2/{name}/blobs/{digest}"}
    return Answer(201, b"", headers)


def _under_way(name: str, upload: str, arrived: int, status: int = 202) -> Answer:
    headers = {
        "Location": f"/v2/{name}/blobs/uploads/{upload}",
        "Docker-Upload-UUID": upload,
        "Range": f"0-{max(0, arrived - 1)}",
    }
    return Answer(status, b"", headers)
