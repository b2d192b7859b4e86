"""A registry's HTTP API, as far as pushing an image needs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import override

from gpuhub._closing import closing
from gpuhub.adapter import Io
from gpuhub.errors import AuthFailed, MalformedResponse, ProviderError, ProviderUnavailable
from gpuhub.oci.answers import TAKEN, error_of
from gpuhub.oci.authorization import Authorization, SecretHeaders, pull, push
from gpuhub.oci.credentials import RegistryCredentials
from gpuhub.oci.media_types import INDEXES, MANIFESTS
from gpuhub.oci.reference import Reference
from gpuhub.oci.site import Site
from gpuhub.plan import Request, Response, Retry

__all__ = ["Manifest", "Registry"]

# A registry may look through its storage before it answers.
_MANIFEST_SECONDS = 120.0
_FOUND = {200, 301, 302, 303, 307, 308}


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or an index.

    Attributes:
        content: The bytes that the digest is of.
        media_type: What it is.
    """

    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """``"sha256:…"`` of the content."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    def json(self) -> dict[str, Any]:
        """The content.

        Raises:
            MalformedResponse: It is no JSON object.
        """
        try:
            found = json.loads(self.content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise MalformedResponse(
                f"the manifest {self.digest} is no JSON object",
                next_step="check that the name is an image's",
            )
        return found


class Registry:
    """One registry, spoken to with one login.

    Args:
        io: What an adapter was given.
        registry: As in a reference.
        credentials: ``None``: anonymous.
        insecure: Allow plain HTTP to a registry on another machine.
    """

    def __init__(
        self,
        io: Io,
        registry: str,
        credentials: RegistryCredentials | None = None,
        *,
        insecure: bool = False,
    ) -> None:
        self.io = io
        self.site = Site.of(registry, insecure=insecure)
        self._authorization = Authorization(io, self.site, credentials)
        self._pinged = False

    @override
    def __repr__(self) -> str:
        """Show the address; nothing secret."""
        return f"<Registry {self.site.url}>"

    async def ping(self) -> None:
        """Learn how the registry wants a login, before anything large is sent.

        Raises:
            ProviderError: There is no registry at the address, or it does not answer.
        """
        request = Request("GET", f"{self.site.url}/v2/", retry=Retry.SAFE)
        response = await self._sent(request, SecretHeaders())
        if response.status == 401:
            self._authorization.learn(response)
        elif response.status != 200:
            raise self.error(response, "asking", "")
        self._pinged = True

    async def send(self, request: Request, repository: str, scopes: Iterable[str]) -> Response:
        """Send a request with the login, once more when the registry asks for another one.

        The login stays away from other hosts than the registry's own.

        Args:
            request: Its path is a whole URL.
            repository: What it is about, for errors.
            scopes: What it needs, see :func:`~gpuhub.oci.authorization.pull`.

        Raises:
            AuthFailed: The login is missing, refused, or not enough.
            ProviderError: There was no answer. Other statuses below 500 are the caller's.
        """
        if not self.site.is_own(request.path):
            return await self._sent(request, SecretHeaders())
        if not self._pinged:
            await self.ping()
        response = await self._sent(request, await self._login(scopes))
        if response.status == 401 and self._authorization.learn(response):
            response = await self._sent(request, await self._login(scopes))
        if response.status == 401:
            raise self.error(response, "access to", repository)
        return response

    async def stream(self, request: Request, scopes: Iterable[str]) -> AsyncGenerator[bytes]:
        """Send a request with the login and yield the body; statuses as ``request`` accepts.

        Raises:
            ProviderError: The answer is an error, there was none, or it was cut.
        """
        login = await self._login(scopes) if self.site.is_own(request.path) else {}
        headers = SecretHeaders({**request.headers, **login})
        try:
            sent = self.io.stream(replace(request, origin="", headers=headers))
            async with closing(sent) as chunks:
                async for chunk in chunks:
                    yield chunk
        except ProviderError as error:
            raise self._told(error, f"the registry {self.site.registry}: {error.message}")  # noqa: B904 - the same error

    async def manifest(self, reference: Reference) -> Manifest:
        """Fetch a manifest or an index.

        Raises:
            NotFound: There is none of that name.
            MalformedResponse: It is not what its digest promises.
        """
        repository = reference.repository
        url = f"{self._url(repository)}/manifests/{reference.identifier}"
        headers = {"accept": ", ".join((*MANIFESTS, *INDEXES))}
        request = Request("GET", url, headers=headers, retry=Retry.SAFE)
        response = await self.send(request, repository, [pull(repository)])
        if response.status != 200:
            raise self.error(response, "reading the image", repository)
        media_type = response.headers.get("content-type", "").partition(";")[0].strip()
        manifest = Manifest(response.body, media_type)
        if media_type not in (*MANIFESTS, *INDEXES):
            manifest = replace(manifest, media_type=str(manifest.json().get("mediaType", "")))
        self._require_digest(manifest, reference.digest, "sent")
        return manifest

    async def put_manifest(self, reference: Reference, manifest: Manifest) -> None:
        """Store a manifest under a tag or its digest. Repeating it does no harm.

        Raises:
            ProviderError: It was refused.
            MalformedResponse: The registry computes another digest.
        """
        repository = reference.repository
        request = Request(
            "PUT",
            f"{self._url(repository)}/manifests/{reference.identifier}",
            body=manifest.content,
            headers={"content-type": manifest.media_type},
            timeout=_MANIFEST_SECONDS,
            retry=Retry.SAFE,
        )
        response = await self.send(request, repository, [push(repository)])
        if response.status not in {200, 201, 202}:
            raise self.error(response, "pushing the manifest to", repository)
        self._require_digest(manifest, response.headers.get("docker-content-digest", ""), "stored")

    async def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a repository, to be pushed to, has a blob."""
        request = Request("HEAD", self.blob_url(repository, digest), retry=Retry.SAFE)
        response = await self.send(request, repository, [push(repository)])
        if response.status in _FOUND:
            return True
        if response.status == 404:
            return False
        raise self.error(response, "looking for a layer in", repository)

    async def start_upload(self, repository: str) -> Response:
        """Start an upload; the answer names its place.

        May be repeated: the registry throws away an upload that is never finished.

        Raises:
            ProviderError: It was refused.
        """
        response = await self._post_upload(repository, {}, [push(repository)])
        if response.status != 202:
            raise self.error(response, "uploading to", repository)
        return response

    async def mount(self, repository: str, digest: str, source: str) -> Response | None:
        """Take a blob over from another repository of this registry.

        Returns:
            ``None`` when that was done. Otherwise the answer: one of 202 has started an upload.
        """
        query = {"mount": digest, "from": source}
        scopes = [push(repository), pull(source)]
        response = await self._post_upload(repository, query, scopes)
        return None if response.status == 201 else response

    async def _post_upload(
        self, repository: str, query: Mapping[str, str], scopes: Iterable[str]
    ) -> Response:
        url = f"{self._url(repository)}/blobs/uploads/"
        request = Request("POST", url, query=query, retry=Retry.SAFE)
        return await self.send(request, repository, scopes)

    def blob_url(self, repository: str, digest: str) -> str:
        """Where a blob is."""
        return f"{self._url(repository)}/blobs/{digest}"

    def error(self, response: Response, doing: str, repository: str) -> ProviderError:
        """The error that an answer stands for; an anonymous reader is told that it is one."""
        registry = self.site.registry
        error = error_of(response, doing=doing, registry=registry, repository=repository)
        if isinstance(error, AuthFailed) and self._authorization.is_anonymous:
            error.next_step = (
                f"check that the image exists; if it is private, give credentials for {registry}"
            )
        return self._told(error, error.message)

    def _url(self, repository: str) -> str:
        return f"{self.site.url}/v2/{repository}"

    async def _login(self, scopes: Iterable[str]) -> SecretHeaders:
        try:
            return await self._authorization.headers(scopes)
        except ProviderError as error:
            raise self._told(error, error.message)  # noqa: B904 - the same error

    async def _sent(self, request: Request, login: SecretHeaders) -> Response:
        headers = SecretHeaders({**request.headers, **login})
        try:
            return await self.io.send(replace(request, origin="", headers=headers, accept=TAKEN))
        except ProviderError as error:
            if isinstance(error, ProviderUnavailable):
                error.next_step = f"try again later; check that {self.site.url} is the registry"
            words = f"the registry {self.site.registry}: {error.message}"
            raise self._told(error, words)  # noqa: B904 - the same error

    def _told(self, error: ProviderError, words: str) -> ProviderError:
        """The same error in other words, without secrets."""
        error.message = self._authorization.scrubbed(words)
        error.args = (error.message,)
        return error

    def _require_digest(self, manifest: Manifest, digest: str, happened: str) -> None:
        if digest and digest != manifest.digest:
            raise MalformedResponse(
                f"the registry {self.site.registry} {happened} a manifest with the digest {digest}"
                f" where it must be {manifest.digest}",
                next_step="try again; look for a proxy that changes what passes",
            )
