"""The versions of a name: Beam's deployments, put together to what gpuhub deployed at a time. Pure.

Beam numbers versions by name and kind, so a release is named by its main part: ``endpoint-v3``. The
queue of the same deploy was made just before it, and has the same fingerprint in its environment.
``DeploymentWithRelated`` in the gateway's serializer (0b79dfe); ``stub.config`` is JSON text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gpuhub.adapter import DeploymentRef, Version
from gpuhub_beam.container import FINGERPRINT, LIMITS, PARTS
from gpuhub_beam.errors import member

__all__ = ["CHANGED", "INCOMPLETE", "Part", "Release", "current", "parts_of", "releases_of"]

CHANGED = "changed-at-the-provider"
"""In the place of a fingerprint: somebody changed the limits, or a version was left running."""
INCOMPLETE = "incomplete"
"""In the place of a fingerprint: a part is missing."""

_CALLABLE = ("endpoint", "asgi", "taskqueue", "function", "schedule", "pod")
_VERSION = re.compile(r"(?:(?P<kind>[a-z]+)[-/])?v?(?P<number>\d+)\Z")


@dataclass(frozen=True, slots=True)
class Part:
    """One deployment of Beam's.

    Attributes:
        id: Its id.
        name: Its name.
        kind: ``endpoint``, ``asgi``, ``taskqueue``, …
        number: Its version.
        active: Whether it takes calls.
        created_at: Seconds since the epoch; ``None`` when Beam does not say.
        stub: Id of its stub.
        app: Id of its app.
        config: The stub's configuration.
    """

    id: str
    name: str
    kind: str
    number: int
    active: bool
    created_at: float | None
    stub: str
    app: str
    config: Mapping[str, Any] = field(repr=False)

    @property
    def path(self) -> str:
        """Where this version is called. ``latest`` may be five minutes old, so it is not used."""
        return f"/{self.kind}/{self.name}/v{self.number}"

    @property
    def env(self) -> dict[str, str]:
        """The variables of its stub."""
        pairs = (str(entry).partition("=") for entry in self.config.get("env") or ())
        return {name: value for name, _, value in pairs}

    @property
    def is_ours(self) -> bool:
        """Whether gpuhub made it."""
        return FINGERPRINT in self.env

    @property
    def timeout(self) -> float:
        """Seconds of one call; 0: no limit."""
        return float((self.config.get("task_policy") or {}).get("timeout") or 0)

    @property
    def limits_changed(self) -> bool:
        """Whether the limits are no longer those that were deployed."""
        try:
            declared = json.loads(self.env.get(LIMITS, "{}"))
        except ValueError:
            return False
        return any(_at(self.config, path) != value for path, value in declared.items())


def _at(config: Mapping[str, Any], path: str) -> Any:
    value: Any = config
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


@dataclass(frozen=True, slots=True)
class Release:
    """What one deploy made.

    Attributes:
        main: Takes the calls that are waited for.
        queue: Takes spawned calls; may be ``main``. ``None``: there is none.
        schedule: Runs by itself. ``None``: there is none.
    """

    main: Part
    queue: Part | None
    schedule: Part | None = None

    @property
    def id(self) -> str:
        """The version, such as ``endpoint-v3``."""
        return f"{self.main.kind}-v{self.main.number}"

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its deployments, each once."""
        others = (self.queue, self.schedule)
        return (self.main, *(part for part in others if part not in (None, self.main)))

    @property
    def fingerprint(self) -> str:
        """Of the plan, or why the next deploy is no no-op."""
        env = self.main.env
        wanted = env.get(PARTS, "").split(",") if PARTS in env else []
        if set(wanted) - {part.kind for part in self.parts}:
            return INCOMPLETE
        if any(part.limits_changed for part in self.parts):
            return CHANGED
        return env.get(FINGERPRINT, "")

    def ref(self, base_url: str, *, fingerprint: str | None = None) -> DeploymentRef:
        """Give the identity.

        Args:
            base_url: Of the gateway.
            fingerprint: Of the plan; ``None``: what the release says.
        """
        data = {
            "kind": self.main.kind,
            "path": self.main.path,
            "stub": self.main.stub,
            "app": self.main.app,
            "timeout": f"{self.main.timeout:g}",
        }
        queue = self.main if self.main.kind == "function" else self.queue
        if queue is not None:
            data |= {"queue": queue.path, "queue_stub": queue.stub}
        url = f"{base_url.rstrip('/')}{self.main.path}"
        if self.main.config.get("authorized") is False:
            url = f"{base_url.rstrip('/')}/{self.main.kind}/public/{self.main.stub}"
        return DeploymentRef(
            provider="beam",
            name=self.main.name,
            address=self.main.name,
            version=self.id,
            fingerprint=self.fingerprint if fingerprint is None else fingerprint,
            url=url,
            made_by_gpuhub=self.main.is_ours,
            data=data,
        )

    def version(self, serving: Release | None) -> Version:
        """Describe it among the others."""
        kinds = " and ".join(part.kind for part in self.parts)
        state = "active" if any(part.active for part in self.parts) else "stopped"
        return Version(
            self.id,
            created_at=self.main.created_at,
            current=serving is not None and self.id == serving.id,
            fingerprint=self.main.env.get(FINGERPRINT, ""),
            detail=f"{kinds}, {state}",
        )


def parts_of(listing: Any, name: str) -> list[Part]:
    """Give the deployments of exactly that name, newest first; the gateway finds parts of names.

    Raises:
        MalformedResponse: It is no list of deployments.
    """
    entries = member({"deployments": listing}, "deployments", list)
    found = [_part(entry) for entry in entries if entry.get("name") == name]
    return sorted(found, key=lambda part: (part.created_at or 0.0, part.number), reverse=True)


def _part(entry: Mapping[str, Any]) -> Part:
    stub = member(entry, "stub", dict)
    app = entry.get("app") or {}
    return Part(
        id=str(entry.get("external_id") or member(entry, "id", str)),
        name=member(entry, "name", str),
        kind=str(member(entry, "stub_type", str)).partition("/")[0],
        number=member(entry, "version", int),
        active=member(entry, "active", bool),
        created_at=_seconds(entry.get("created_at")),
        stub=str(stub.get("external_id") or member(stub, "id", str)),
        app=str(app.get("external_id") or app.get("id") or entry.get("app_id") or ""),
        config=_config(stub.get("config")),
    )


def _config(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def releases_of(parts: Sequence[Part]) -> list[Release]:
    """Put parts together, newest release first."""
    found = []
    for part in parts:
        if part.kind not in _CALLABLE or (part.is_ours and _main_kind(part) != part.kind):
            continue
        queue = part if part.kind == "taskqueue" else _beside(part, "taskqueue", parts)
        found.append(Release(part, queue, _beside(part, "schedule", parts)))
    return found


def _main_kind(part: Part) -> str:
    return part.env.get(PARTS, part.kind).partition(",")[0]


def _beside(main: Part, kind: str, parts: Sequence[Part]) -> Part | None:
    """Give the newest part of a kind that belongs to the same plan and is not younger."""
    if kind not in main.env.get(PARTS, "").split(","):
        return None
    made = main.created_at or 0.0
    for part in parts:
        same = part.env.get(FINGERPRINT) == main.env.get(FINGERPRINT)
        fits = part.kind == kind and same and _main_kind(part) == main.kind
        if fits and (part.created_at or 0.0) <= made:
            return part
    return None


def current(releases: Sequence[Release], version: str = "") -> Release | None:
    """Give the release that serves: the newest with an active main part.

    Args:
        releases: Newest first.
        version: Give this one instead: ``endpoint-v3``, ``endpoint/v3``, ``v3`` or ``3``.
    """
    if not version:
        return next((each for each in releases if each.main.active), None)
    match = _VERSION.match(version)
    if match is None:
        return None
    kind, number = match["kind"], int(match["number"])
    return next(
        (
            each
            for each in releases
            if each.main.number == number and kind in (None, each.main.kind)
        ),
        None,
    )
