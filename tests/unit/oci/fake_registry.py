"""A small registry in this process, and the ``Io`` that leads to it: no socket, no waiting."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gpuhub import _drive
from gpuhub.errors import MalformedResponse, NotFound, ProviderUnavailable
from gpuhub.plan import Request, Response, Retry
from tests.unit.oci.base_images import BaseImage, digest_of

HERE = "registry.example"
BROKEN = -1
"""A fault's status: the connection breaks."""

Handler = Callable[["Asked"], "Response | None"]


@dataclass
class Asked:
    """A request as it arrives."""

    method: str
    host: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    scheme: str = "https"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def answer(status: int, body: bytes = b"", **headers: str) -> Response:
    """Give an answer; underscores in header names stand for dashes."""
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, body)


def refusal(status: int, code: str, message: str = "no") -> Response:
    """Give an error as registries write it."""
    return answer(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode())


@dataclass
class FakeRegistry:
    """Stores blobs and manifests by repository.

    Attributes:
        login: ``"user:password"`` that is asked for; empty: everybody may do everything.
        bearer: Whether the login buys tokens.
        mounts: Whether it takes over blobs from other repositories.
        ranges: Whether it sends parts of blobs.
        limits: Headers of the answer that opens an upload.
        faults: Looked at first; what one gives is the answer.
        links: Where blobs are, in place of here.
    """

    host: str = HERE
    login: str = ""
    bearer: bool = False
    mounts: bool = True
    ranges: bool = True
    limits: dict[str, str] = field(default_factory=dict)
    faults: list[Handler] = field(default_factory=list)
    links: str = ""
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    seen: list[Asked] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def store(self, repository: str, image: BaseImage, tag: str = "1") -> str:
        """Have an image; give its name."""
        for digest, content in image.blobs.items():
            self.blobs[repository, digest] = content
        for media_type, content in [*image.below, (image.media_type, image.content)]:
            self.manifests[repository, digest_of(content)] = media_type, content
        self.manifests[repository, tag] = image.media_type, image.content
        return f"{self.host}/{repository}:{tag}"

    def count(self, method: str, part: str = "") -> int:
        """How many requests of a method had this in their path."""
        return len([each for each in self.seen if each.method == method and part in each.path])

    def handle(self, asked: Asked) -> Response:
        """Answer one request."""
        self.seen.append(asked)
        for fault in self.faults:
            if (found := fault(asked)) is not None:
                return found
        if asked.path == "/token":
            return self._token(asked)
        return self._stored(asked) if self._may(asked) else self._challenge(asked)

    def _stored(self, asked: Asked) -> Response:
        if asked.path == "/v2/":
            return answer(200, b"{}")
        repository, _, rest = asked.path.removeprefix("/v2/").rpartition(
            "/manifests/" if "/manifests/" in asked.path else "/blobs/"
        )
        if "/manifests/" in asked.path:
            return self._manifest(asked, repository, rest)
        if rest.startswith("uploads/"):
            return self._upload(asked, repository, rest.removeprefix("uploads/"))
        return self._blob(asked, repository, rest)

    def _token(self, asked: Asked) -> Response:
        scopes = asked.query.get("scope", [])
        login = asked.headers.get("authorization", "")
        if login and login != self._basic():
            return refusal(401, "UNAUTHORIZED")
        self.tokens.append(" ".join(scopes) if login else "")
        return answer(200, json.dumps({"token": f"token-{len(self.tokens)}"}).encode())

    def _basic(self) -> str:
        return f"Basic {base64.b64encode(self.login.encode()).decode()}"

    def _may(self, asked: Asked) -> bool:
        given = asked.headers.get("authorization", "")
        if not self.login:
            return True
        if not self.bearer:
            return given == self._basic()
        number = given.removeprefix("Bearer token-")
        if not number.isdecimal() or int(number) > len(self.tokens):
            return False
        repository = asked.path.removeprefix("/v2/").split("/manifests/")[0].split("/blobs/")[0]
        return f"repository:{repository}:" in self.tokens[int(number) - 1]

    def _challenge(self, asked: Asked) -> Response:
        how = 'Basic realm="here"'
        if self.bearer:
            how = f'Bearer realm="https://{self.host}/token",service="{self.host}"'
        return Response(401, {"www-authenticate": how}, refusal(401, "UNAUTHORIZED").body)

    def _manifest(self, asked: Asked, repository: str, name: str) -> Response:
        if asked.method == "PUT":
            digest = digest_of(asked.body)
            for key in (name, digest):
                self.manifests[repository, key] = asked.headers["content-type"], asked.body
            return answer(201, docker_content_digest=digest)
        if (repository, name) not in self.manifests:
            return refusal(404, "MANIFEST_UNKNOWN")
        media_type, content = self.manifests[repository, name]
        return answer(200, content, content_type=media_type)

    def _blob(self, asked: Asked, repository: str, digest: str) -> Response:
        content = self.blobs.get((repository, digest))
        if content is None:
            return refusal(404, "BLOB_UNKNOWN")
        if self.links and asked.method == "GET":
            return answer(307, location=f"{self.links}/{digest}?signature=abc")
        return part_of(asked, content, ranges=self.ranges)

    def _upload(self, asked: Asked, repository: str, name: str) -> Response:
        if asked.method == "POST":
            return self._open(asked, repository)
        if name not in self.uploads:
            return refusal(404, "BLOB_UPLOAD_UNKNOWN")
        if asked.method == "PATCH":
            begin = int(asked.headers["content-range"].partition("-")[0])
            if begin != len(self.uploads[name]):
                return answer(416)
        if asked.method in {"PATCH", "PUT"}:
            self.uploads[name] += asked.body
        if asked.method == "PUT":
            return self._close(asked, repository, name)
        last = max(len(self.uploads[name]) - 1, 0)
        return answer(
            202 if asked.method == "PATCH" else 204, range=f"0-{last}", location=asked.path
        )

    def _open(self, asked: Asked, repository: str) -> Response:
        mount, source = asked.query.get("mount"), asked.query.get("from")
        if mount and source and self.mounts and (source[0], mount[0]) in self.blobs:
            self.blobs[repository, mount[0]] = self.blobs[source[0], mount[0]]
            return answer(201)
        name = f"upload-{len(self.seen)}"
        self.uploads[name] = b""
        location = {"location": f"/v2/{repository}/blobs/uploads/{name}?state=x"}
        return Response(202, {**location, **self.limits}, b"")

    def _close(self, asked: Asked, repository: str, name: str) -> Response:
        content = self.uploads.pop(name)
        (digest,) = asked.query["digest"]
        if digest_of(content) != digest:
            return refusal(400, "DIGEST_INVALID")
        self.blobs[repository, digest] = content
        return answer(201)


def part_of(asked: Asked, content: bytes, *, ranges: bool = True) -> Response:
    """Give a body, or the part of it that was asked for."""
    wanted = asked.headers.get("range", "").removeprefix("bytes=")
    if asked.method == "HEAD" or not wanted or not ranges:
        return answer(200, b"" if asked.method == "HEAD" else content)
    first, _, last = wanted.partition("-")
    end = int(last) + 1 if last else len(content)
    found = content[int(first) : end]
    return answer(206, found, content_range=f"bytes {first}-{end - 1}/{len(content)}")


class FakeIo:
    """Leads to handlers by host.

    Attributes:
        slept: Seconds of all waits.
        clock: What :meth:`now` gives.
        cut: The next streams break after so many bytes each.
    """

    def __init__(self, handlers: dict[str, Callable[[Asked], Response]]) -> None:
        self._handlers = handlers
        self.slept: list[float] = []
        self.clock = 0.0
        self.cut: list[int] = []

    async def send(self, request: Request) -> Response:
        assert request.origin == "", "the adapter's credential must not go to a registry"
        response = self._handle(request)
        if request.accept and response.status in request.accept:
            return response
        if not request.accept and 200 <= response.status < 300:
            return response
        raise error_of(response.status)

    async def stream(self, request: Request) -> AsyncIterator[bytes]:
        response = await self.send(request)
        body = response.body
        cut = self.cut.pop(0) if self.cut else None
        for begin in range(0, len(body) if cut is None else cut, 1000):
            end = begin + 1000 if cut is None else min(begin + 1000, cut)
            yield body[begin:end]
        if cut is not None:
            raise error_of(BROKEN)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock += seconds

    async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    async def ask(self, function: Callable[[], Any], *, retry: Retry = Retry.SAFE) -> Any:
        return function()

    async def iterate(self, make: Callable[[], Iterable[Any]]) -> AsyncIterator[Any]:
        for item in make():
            yield item

    def now(self) -> float:
        return self.clock

    def _handle(self, request: Request) -> Response:
        parts = urlsplit(request.path)
        body = request.body or b""
        asked = Asked(
            request.method,
            parts.netloc,
            parts.path,
            parse_qs(parts.query) | {name: [text] for name, text in request.query.items()},
            dict(request.headers),
            body.read_bytes() if isinstance(body, Path) else body,
            parts.scheme,
        )
        handler = self._handlers.get(parts.netloc)
        response = handler(asked) if handler else answer(BROKEN)
        if response.status == BROKEN:
            raise error_of(BROKEN)
        return response


def error_of(status: int) -> Exception:
    """Give what the real one raises for statuses that are not accepted."""
    if status == 404:
        return NotFound("not there", status=404)
    if 200 <= status < 500:
        return MalformedResponse(f"status {status}", status=status)
    return ProviderUnavailable(f"status {status}", status=status, accepted=None)


def io_of(*registries: FakeRegistry) -> FakeIo:
    """Give an ``Io`` that leads to registries."""
    return FakeIo({each.host: each.handle for each in registries})


def run(coroutine: Any) -> Any:
    """Run a coroutine as sync mode does: stepped, without a loop."""
    return _drive.run(coroutine)


def once(matches: Callable[[Asked], bool], response: Response, times: int = 1) -> Handler:
    """Give a fault that happens so many times."""
    left = [times]

    def fault(asked: Asked) -> Response | None:
        if left[0] and matches(asked):
            left[0] -= 1
            return response
        return None

    return fault
