"""Names of images: ``registry/repository:tag@digest``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from typing_extensions import override

from gpuhub.errors import SpecError

__all__ = ["DOCKER_HUB", "Reference"]

DOCKER_HUB = "docker.io"
"""The registry of names that name none."""

_WORD = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_WORD}(?:/{_WORD})*")
_REGISTRY = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?"
)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_REPOSITORY = 255
_HUB_NAMES = {"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image is. Prints as it parses.

    Attributes:
        registry: Host, with the port where one is written, such as ``"docker.io"``.
        repository: Path below it, such as ``"library/python"``.
        tag: Empty when only the digest is given.
        digest: ``"sha256:…"`` of the manifest; empty when it is not pinned.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a name as ``docker pull`` would: Docker Hub and ``latest`` are filled in.

        Raises:
            SpecError: It is no name of an image.
        """
        rest, at, digest = text.partition("@")
        if at and not _DIGEST.fullmatch(digest):
            raise _invalid(text, "the digest after @ must be sha256: and 64 hex digits")
        registry, rest = _split_registry(rest)
        repository, colon, tag = rest.partition(":")
        if colon and not _TAG.fullmatch(tag):
            raise _invalid(text, "a tag has up to 128 letters, digits, '_', '.' or '-'")
        if not _REGISTRY.fullmatch(registry):
            raise _invalid(text, "the registry must be a host, with a port or without")
        registry = DOCKER_HUB if registry in _HUB_NAMES else registry
        if registry == DOCKER_HUB and "/" not in repository:
            repository = f"library/{repository}"
        if not _REPOSITORY.fullmatch(repository) or len(repository) > _LONGEST_REPOSITORY:
            raise _invalid(text, "the repository has lower-case words, separated by '/'")
        return cls(registry, repository, tag or ("" if digest else "latest"), digest)

    @property
    def identifier(self) -> str:
        """What the registry looks the manifest up by: the digest, or else the tag."""
        return self.digest or self.tag

    def pinned(self, digest: str) -> Reference:
        """The same repository at a digest, without a tag."""
        return Reference(self.registry, self.repository, "", digest)

    @override
    def __str__(self) -> str:
        """Give ``registry/repository:tag@digest``, without the parts that are empty."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


def _split_registry(name: str) -> tuple[str, str]:
    """The first word is a registry when it cannot be part of a repository's name."""
    first, slash, rest = name.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first != first.lower()
    return (first, rest) if slash and is_host else (DOCKER_HUB, name)


def _invalid(text: str, rule: str) -> SpecError:
    return SpecError(
        f"{text!r} is no name of an image: {rule}",
        next_step="write registry/repository:tag, such as docker.io/me/worker:1",
    )
