"""What a registry keeps: blobs, manifests, tags, uploads under way."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

__all__ = ["Manifest", "Repository", "Store", "digest_of"]


def digest_of(content: bytes) -> str:
    """Give ``sha256:…`` of a content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as it was pushed."""

    media_type: str
    content: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """Of the content."""
        return digest_of(self.content)


@dataclass(slots=True)
class Repository:
    """One repository.

    Attributes:
        blobs: Digests of what it has.
        manifests: By digest.
        tags: Digest of each tag.
    """

    blobs: set[str] = field(default_factory=set)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def manifest(self, reference: str) -> Manifest | None:
        """Find a manifest by tag or digest."""
        return self.manifests.get(self.tags.get(reference, reference))


@dataclass
class Store:
    """All repositories, in memory. Every method needs the lock.

    Attributes:
        repositories: By name.
        uploads: Bytes that have arrived, by the upload's id.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    _content: dict[str, bytes] = field(default_factory=dict)

    def repository(self, name: str) -> Repository:
        """Give a repository; there is one of every name that may be pushed to."""
        return self.repositories.setdefault(name, Repository())

    def blob(self, repository: str, digest: str) -> bytes | None:
        """Give a blob of a repository's."""
        return self._content.get(digest) if digest in self.repository(repository).blobs else None

    def add(self, repository: str, content: bytes) -> str:
        """Keep a blob; give its digest."""
        digest = digest_of(content)
        self._content[digest] = content
        self.repository(repository).blobs.add(digest)
        return digest

    def mount(self, repository: str, digest: str, source: str) -> bool:
        """Let a repository have what another one has; tell whether that one has it."""
        if digest not in self.repository(source).blobs:
            return False
        self.repository(repository).blobs.add(digest)
        return True

    def put(self, repository: str, reference: str, manifest: Manifest) -> str:
        """Keep a manifest, under a tag or its digest; give its digest."""
        found = self.repository(repository)
        found.manifests[manifest.digest] = manifest
        if not reference.startswith("sha256:"):
            found.tags[reference] = manifest.digest
        return manifest.digest
