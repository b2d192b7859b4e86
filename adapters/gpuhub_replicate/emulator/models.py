"""Models and their versions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Image", "Model", "Played", "Version"]


@dataclass(frozen=True, slots=True)
class Image:
    """What a version runs, when it was pushed.

    Attributes:
        layers: Digests of what is above the base image, lowest first.
        read: Gives the content of one of them.
        env: Variables of the image.
    """

    layers: tuple[str, ...]
    read: Callable[[str], bytes]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Played:
    """A Python function that stands for a model.

    Attributes:
        run: Takes the input, with the schema's defaults filled in, and returns the output or
            yields items of it. ``bytes`` and :class:`pathlib.Path` become links to files.
        on_thread: Whether it may take long: it runs on a thread then. Otherwise it must be quick,
            for it runs on the server's own thread.
    """

    run: Callable[[dict[str, Any]], Any]
    on_thread: bool = False


@dataclass(slots=True, eq=False)
class Version:
    """One version of a model.

    Attributes:
        id: 64 hexadecimal digits: those of the manifest's digest.
        model: Whose it is, ``owner/name``.
        schema: Its OpenAPI document.
        cog_version: From its labels.
        created_at: As the API shows it.
        image: What it runs. ``None``: it is played.
        played: The function that plays it.
        root: Folder where its image is unpacked, once that is done.
    """

    id: str
    model: str
    schema: Mapping[str, Any]
    cog_version: str
    created_at: str
    image: Image | None = None
    played: Played | None = None
    root: Path | None = None

    @property
    def concurrency(self) -> int:
        """Predictions one worker takes at the same time."""
        text = "" if self.image is None else self.image.env.get("COG_MAX_CONCURRENCY", "")
        return int(text) if text.isdecimal() and int(text) > 0 else 1

    def part(self, name: str) -> dict[str, Any]:
        """Give ``Input`` or ``Output`` of the schema."""
        return dict(self.schema.get("components", {}).get("schemas", {}).get(name) or {})

    @property
    def is_iterator(self) -> bool:
        """Whether it gives its output bit by bit."""
        return self.part("Output").get("x-cog-array-type") == "iterator"

    def shown(self) -> dict[str, Any]:
        """Give the API's description."""
        return {
            "id": self.id,
            "created_at": self.created_at,
            "cog_version": self.cog_version,
            "openapi_schema": dict(self.schema),
        }


@dataclass(slots=True, eq=False)
class Model:
    """One model.

    Attributes:
        owner: Of an account.
        name: Unique within the owner's.
        visibility: ``public`` or ``private``.
        hardware: SKU that predictions without a deployment run on.
        facts: Description and addresses, as they are shown.
        is_official: Whether it is called by its name alone.
        is_ours: Whether the account owns it.
        created_at: As the API shows it.
        versions: By id, oldest first.
        run_count: Predictions so far.
    """

    owner: str
    name: str
    visibility: str
    hardware: str
    facts: dict[str, Any] = field(default_factory=dict)
    is_official: bool = False
    is_ours: bool = True
    created_at: str = ""
    versions: dict[str, Version] = field(default_factory=dict)
    run_count: int = 0

    @property
    def path(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    @property
    def latest(self) -> Version | None:
        """The newest version."""
        return next(reversed(self.versions.values()), None)

    def shown(self) -> dict[str, Any]:
        """Give the API's description."""
        latest = self.latest
        return {
            "url": f"https://replicate.com/{self.path}",
            "owner": self.owner,
            "name": self.name,
            "description": None,
            "visibility": self.visibility,
            "github_url": None,
            "paper_url": None,
            "license_url": None,
            "run_count": self.run_count,
            "cover_image_url": None,
            "default_example": None,
            "latest_version": latest.shown() if latest is not None else None,
            "is_official": self.is_official,
            **self.facts,
        }


def played_id(path: str, number: int = 1) -> str:
    """Give the id of a version that was not pushed."""
    return hashlib.sha256(f"{path}#{number}".encode()).hexdigest()
