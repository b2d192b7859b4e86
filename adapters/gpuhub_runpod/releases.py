"""Releases: the versions of an endpoint, and an older one's settings put together again. Pure.

"List serverless endpoint releases" of the REST v2 document, read 2026-11-20: each release has a
``diff`` with the old and new value of what changed. The document names three of the fields
(``template.imageName``, ``template.env``, ``locations``) and ``workers.max``; the others are read
under the names that RunPod's older APIs have for them, and under those of v2.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from gpuhub.adapter import Version
from gpuhub.errors import BadRequest, NotFound
from gpuhub_runpod.errors import member

__all__ = ["earlier_settings", "seconds_of", "version_of", "versions_of"]

_NAMES = {
    "template.imageName": "image",
    "imageName": "image",
    "template.dockerArgs": "args",
    "dockerArgs": "args",
    "template.env": "env",
    "template.containerDiskInGb": "disk",
    "containerDiskInGb": "disk",
    "template.ports": "ports",
    "template.containerRegistryAuthId": "registry",
    "containerRegistryAuthId": "registry",
    "executionTimeoutMs": "timeout",
    "flashBootType": "flashboot",
    "locations": "dataCenterIds",
    "networkVolumeIds": "networkVolumes",
    "workersMin": "workers.min",
    "workersMax": "workers.max",
    "idleTimeout": "workers.idleTimeout",
    "gpuCount": "gpu.count",
    "gpuPools": "gpu.pools",
    "minCudaVersion": "gpu.minCudaVersion",
    "allowedCudaVersions": "gpu.allowedCudaVersions",
    "scalerType": "scaling.type",
    "scalerValue": "scaling.value",
}
"""Name in a diff -> path in an endpoint."""

_SETTABLE = (
    *("image", "args", "env", "disk", "ports", "registry", "timeout", "flashboot"),
    *("dataCenterIds", "networkVolumes", "workers", "scaling", "gpu", "cpu"),
)
_IGNORED = ("name", "templateId", "template.name", "version")
"""What says nothing about what runs."""


def version_of(listing: Mapping[str, Any]) -> str:
    """Give the current version; empty when RunPod does not say."""
    version = listing.get("endpointVersion")
    if version is not None:
        return str(version)
    releases = listing.get("releases") or []
    return _id(releases[0]) if releases else ""


def versions_of(listing: Mapping[str, Any], endpoint: Mapping[str, Any]) -> list[Version]:
    """Give all versions, newest first.

    Args:
        listing: ``GET …/releases``.
        endpoint: The endpoint as it is now, from which older fingerprints are found backwards.
    """
    current = version_of(listing)
    env: Mapping[str, Any] = endpoint.get("env") or {}
    found = []
    for release in _releases(listing):
        found.append(
            Version(
                _id(release),
                created_at=seconds_of(release.get("createdAt")),
                current=_id(release) == current,
                fingerprint=str(env.get("GPUHUB_FINGERPRINT", "")),
                detail=_changed(release),
            )
        )
        for entry in release.get("diff") or ():
            if _NAMES.get(entry["field"], entry["field"]) == "env":
                env = _env(entry.get("old")) or {}
    return found


def earlier_settings(
    listing: Mapping[str, Any], endpoint: Mapping[str, Any], version: str
) -> dict[str, Any]:
    """Give the settable members of an endpoint as they were at a version.

    Args:
        listing: ``GET …/releases``.
        endpoint: The endpoint as it is now.
        version: Which.

    Raises:
        NotFound: RunPod does not list that version.
        BadRequest: A later release changed what the API cannot put back.
    """
    releases = _releases(listing)
    if version not in [_id(release) for release in releases]:
        listed = ", ".join(_id(release) for release in releases)
        raise NotFound(
            f"RunPod lists no version {version!r} of {endpoint.get('name')!r}; it lists: {listed}",
            provider="runpod",
            next_step="choose one of those",
        )
    members = {name: endpoint[name] for name in _SETTABLE if name in endpoint}
    settings: dict[str, Any] = copy.deepcopy(members)
    for release in releases:
        if _id(release) == version:
            break
        for entry in release.get("diff") or ():
            _undo(settings, entry, _id(release))
    if "value" in (settings.get("scaling") or {}):
        settings["scaling"] = _scaler(settings["scaling"])
    return {name: value for name, value in settings.items() if value is not None or name in _NULLS}


_NULLS = ("registry",)


def _scaler(old: Mapping[str, Any]) -> dict[str, Any]:
    """Give v2's scaler from the type and value of older APIs."""
    kind = old.get("type")
    name = "requestCount" if kind == "REQUEST_COUNT" else "queueDelay"
    return {"type": kind, name: old["value"]}


def _selection(old: Mapping[str, Any] | None, text: str) -> dict[str, Any]:
    """Give v2's pools and exclusions from ``POOL,POOL,-TYPE`` of older APIs."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    pools = [part for part in parts if not part.startswith("-")]
    excluded = [part[1:] for part in parts if part.startswith("-")]
    return {**(old or {}), "pools": pools, "excludedTypes": excluded}


def _undo(settings: dict[str, Any], entry: Mapping[str, Any], release: str) -> None:
    field = str(entry["field"])
    path = _NAMES.get(field, field)
    if path in _IGNORED:
        return
    if path == "gpuIds":
        settings["gpu"] = _selection(settings.get("gpu"), str(entry.get("old") or ""))
        return
    head, _, rest = path.partition(".")
    if head not in _SETTABLE:
        raise BadRequest(
            f"version {release} changed {field!r}, which RunPod's API cannot put back",
            provider="runpod",
            next_step="choose a later version, or deploy the older code again",
        )
    read = _READERS.get(head, _same)
    if not rest:
        settings[head] = read(entry.get("old"))
    else:
        settings[head] = {**(settings.get(head) or {}), rest: entry.get("old")}


def _same(value: Any) -> Any:
    return value


def _env(value: Any) -> dict[str, str] | None:
    """A map, or the list of ``{key, value}`` of older APIs."""
    if isinstance(value, list):
        return {str(pair["key"]): str(pair["value"]) for pair in value}
    return value if value is None else {str(name): str(text) for name, text in value.items()}


def _listed(value: Any) -> list[Any]:
    """A list, or the comma-separated text of older APIs."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value or ())


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "env": lambda value: _env(value) or {},
    "ports": _listed,
    "dataCenterIds": _listed,
    "networkVolumes": _listed,
}


def _releases(listing: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = member(listing, "releases", list)
    return found


def _id(release: Mapping[str, Any]) -> str:
    version = release.get("version")
    return str(member(release, "id", str) if version is None else version)


def _changed(release: Mapping[str, Any]) -> str:
    fields = [str(entry.get("field")) for entry in release.get("diff") or ()]
    return f"changed {', '.join(fields)}" if fields else ""


def seconds_of(text: Any) -> float | None:
    """Read an RFC 3339 time; ``None`` when it is none."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
