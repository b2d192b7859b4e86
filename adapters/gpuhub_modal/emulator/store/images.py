"""Images: layers by content; nothing of them is built, but they say so."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuhub_modal.emulator.problems import missing

if TYPE_CHECKING:
    from gpuhub_modal.emulator.site import Site

__all__ = ["Image", "Images"]

_WORKDIR = "/root"
_REQUIREMENT = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_BROKEN = (
    'ERROR: process "/bin/sh -c pip install" did not complete successfully: exit code: 1',
    "Terminating task due to error: failed to run builder command",
)


@dataclass(slots=True, eq=False)
class Image:
    """One image, which is its last layer.

    Attributes:
        id: ``im-…``.
        sent: Modal's ``Image``.
        builder: Version of the image builder.
        log: Lines of its build.
        failure: Why its build failed; empty: it did not.
        was_asked: Somebody waited for it, so that it counts as built.
    """

    id: str
    sent: Any = field(repr=False)
    builder: str
    log: list[str] = field(default_factory=list)
    failure: str = ""
    was_asked: bool = False


class Images:
    """All images. Every method needs the lock.

    Args:
        site: What all parts share.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.images: dict[str, Image] = {}
        self.names: dict[str, str] = {}
        self._by_content: dict[bytes, Image] = {}

    def get(self, image_id: str) -> Image:
        """Give an image.

        Raises:
            Refused: There is none.
        """
        if image_id not in self.images:
            raise missing(f"image {image_id}")
        return self.images[image_id]

    def get_or_create(self, sent: Any, builder: str, *, anew: bool, failure: str) -> Image:
        """Give the image with this content; make it when there is none.

        Args:
            sent: Modal's ``Image``.
            builder: Version of the image builder.
            anew: Build it even if it is there.
            failure: Why its build fails; empty: it does not.
        """
        key = bytes(sent.SerializeToString(deterministic=True)) + builder.encode()
        known = self._by_content.get(key)
        if known is not None and not anew and not failure:
            return known
        for base in sent.base_images:
            self.get(base.image_id)
        image = Image(self._site.new_id("im"), sent, builder, failure=failure)
        image.log = _build_log(image)
        self.images[image.id] = image
        if not failure:
            self._by_content[key] = image
        return image

    def layers(self, image_id: str) -> list[Image]:
        """Give an image's layers, the base first."""
        found: list[Image] = []
        while image_id in self.images:
            image = self.images[image_id]
            found.insert(0, image)
            image_id = image.sent.base_images[0].image_id if image.sent.base_images else ""
        return found

    def env(self, layers: Sequence[Image]) -> dict[str, str]:
        """Give the variables that layers set."""
        found: dict[str, str] = {}
        for _, command, rest in _commands(layers):
            if command == "ENV":
                found |= _assignments(rest)
        return found

    def packages(self, layers: Sequence[Image]) -> tuple[str, ...]:
        """Give the names of the distributions that layers install with pip."""
        lines = [rest for _, command, rest in _commands(layers) if command == "RUN"]
        words = [word for line in lines if "pip install" in line for word in shlex.split(line)]
        names = [match[0] for word in words if (match := _REQUIREMENT.match(word))]
        return tuple(dict.fromkeys(names))

    def workdir(self, layers: Sequence[Image]) -> str:
        """Give where containers start."""
        where = [
            shlex.split(rest)[0] for _, command, rest in _commands(layers) if command == "WORKDIR"
        ]
        return where[-1] if where else _WORKDIR

    def copies(self, layers: Sequence[Image]) -> list[tuple[str, str]]:
        """Give the mounts that layers copy, each with its place."""
        return [
            (image.sent.context_mount_id, shlex.split(rest)[-1])
            for image, command, rest in _commands(layers)
            if command == "COPY" and image.sent.context_mount_id and "--from" not in rest
        ]


def _commands(layers: Sequence[Image]) -> Iterator[tuple[Image, str, str]]:
    for image in layers:
        for line in image.sent.dockerfile_commands:
            command, _, rest = line.strip().partition(" ")
            if rest:
                yield image, command.upper(), rest.strip()


def _assignments(rest: str) -> dict[str, str]:
    """Read an ``ENV`` line in either of its forms."""
    try:
        parts = shlex.split(rest)
    except ValueError:
        return {}
    if parts and "=" not in parts[0]:
        return {parts[0]: " ".join(parts[1:])}
    return dict(part.split("=", 1) for part in parts if "=" in part)


def _build_log(image: Image) -> list[str]:
    lines = [f"Building image {image.id}"]
    for number, line in enumerate(image.sent.dockerfile_commands):
        lines += [f"=> Step {number}: {line}"]
    if image.failure:
        return [*lines, *_BROKEN, image.failure]
    return [*lines, f"Built image {image.id} in 0.00s"]
