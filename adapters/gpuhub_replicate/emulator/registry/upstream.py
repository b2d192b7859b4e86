"""A real registry behind the emulator's: it keeps what is pushed, Replicate's rules stay here."""

from __future__ import annotations

import asyncio
import http.client
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from typing_extensions import override

from gpuhub_replicate.emulator.problems import RegistryProblem
from gpuhub_replicate.emulator.registry.base import (
    BASE,
    MANIFEST_TYPE,
    base_image,
    base_layers,
    is_base_tag,
)
from gpuhub_replicate.emulator.registry.plane import RegistryPlane, check_digest
from gpuhub_replicate.emulator.registry.store import Manifest, Store, digest_of
from gpuhub_replicate.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.account import Account

__all__ = ["UpstreamPlane"]

_ANSWER_S = 60.0
_ASKED = ("accept", "content-type", "content-range", "range")
_TOLD = (
    *("content-type", "docker-content-digest", "docker-upload-uuid", "location", "range"),
    *("oci-chunk-min-length", "oci-chunk-max-length"),
)


class UpstreamPlane(RegistryPlane):
    """Handlers that ask the other registry.

    Args:
        account: Whose models can be pushed to.
        store: Knows the base images.
        upstream: Base address of the other registry, which wants no login.
    """

    def __init__(self, account: Account, store: Store, upstream: str) -> None:
        super().__init__(account, store)
        self._upstream = upstream.rstrip("/")
        self._seeded: set[str] = set()

    @override
    async def tags(self, request: Request, name: str) -> Answer:
        self.login.require(request, name, "pull")
        return await self._passed(request, name)

    @override
    async def manifest(self, request: Request, name: str, reference: str) -> Answer:
        self.login.require(request, name, "pull")
        if name == BASE and is_base_tag(reference) and reference not in self._seeded:
            await asyncio.to_thread(self._seed, reference)
            self._seeded.add(reference)
        return await self._passed(request, name)

    @override
    async def blob(self, request: Request, name: str, digest: str) -> Answer:
        self.login.require(request, name, "pull")
        return await self._passed(request, name)

    @override
    async def begin(self, request: Request, name: str) -> Answer:
        self.login.require(request, name, "push")
        with self._site.change():
            self._model(name)
        return await self._answered(request)

    @override
    async def upload(self, request: Request, name: str, upload: str) -> Answer:
        self.login.require(request, name, "push")
        return await self._answered(request)

    @override
    async def put_manifest(self, request: Request, name: str, reference: str) -> Answer:
        self.login.require(request, name, "push")
        manifest = Manifest(request.headers.get("content-type", ""), request.body)
        check_digest(reference, manifest)
        with self._site.change():
            self._model(name)
        taken = await asyncio.to_thread(self._checked, name, manifest)
        answer = await self._answered(request)
        if answer.status < 300:
            with self._site.change():
                self._add(self._model(name), manifest, taken)
        return answer

    @override
    def _read(self, name: str, digest: str) -> bytes | None:
        status, _, content = self._ask("GET", f"/v2/{name}/blobs/{digest}")
        return content if status == 200 else None

    async def _passed(self, request: Request, name: str) -> Answer:
        with self._site.change():
            self._readable(name)
        return await self._answered(request)

    async def _answered(self, request: Request) -> Answer:
        """Ask the other registry the same, without the login."""
        headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
        status, told, content = await asyncio.to_thread(
            self._ask, request.method, request.target, request.body, headers
        )
        kept = {name: told[name] for name in _TOLD if name in told}
        kind = kept.pop("content-type", "application/octet-stream")
        if "location" in kept:
            kept["location"] = kept["location"].removeprefix(self._upstream)
        if request.method == "HEAD" and "content-length" in told:
            kept["content-length"] = told["content-length"]
        return Answer(status, content, kept, kind)

    def _seed(self, tag: str) -> None:
        """Let the other registry have a base image."""
        manifest, config = base_image(tag)
        for content in (config, *base_layers()):
            _, told, _ = self._ask("POST", f"/v2/{BASE}/blobs/uploads/")
            place = told["location"].removeprefix(self._upstream)
            joint = "&" if "?" in place else "?"
            self._ask("PUT", f"{place}{joint}digest={digest_of(content)}", content)
        headers = {"content-type": MANIFEST_TYPE}
        self._ask("PUT", f"/v2/{BASE}/manifests/{tag}", manifest.content, headers)

    def _ask(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request.

        Raises:
            RegistryProblem: 503, the other registry does not answer.
        """
        connection = http.client.HTTPConnection(urlsplit(self._upstream).netloc, timeout=_ANSWER_S)
        try:
            connection.request(method, target, body, headers or {})
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, told, answer.read()
        except OSError as error:
            raise RegistryProblem(503, "UNAVAILABLE", f"{self._upstream}: {error}") from None
        finally:
            connection.close()
