"""What a PATCH has to say: the difference between what is wanted and what is there. Pure.

"Update a serverless endpoint" of the REST v2 document, read 2026-11-20: a member that is left out
stays; ``env`` is replaced as a whole; ``gpu.pools`` without ``excludedTypes`` clears these; the
type, and GPU or CPU, cannot change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpuhub.errors import BadRequest

__all__ = ["BOOKKEEPING", "another_attempt", "changes_between", "includes"]

ATTEMPT = "GPUHUB_ATTEMPT"
"""Counts deploys that repeat one that failed: the only way to say that workers start anew."""
BOOKKEEPING = ("GPUHUB_FINGERPRINT", "GPUHUB_LIMITS", ATTEMPT)
"""Variables that say what was deployed. They alone are not worth a new release."""

_PLAIN: Mapping[str, Any] = {
    "image": "",
    "args": "",
    "disk": None,
    "ports": [],
    "registry": None,
    "timeout": None,
    "flashboot": "OFF",
    "dataCenterIds": [],
    "networkVolumes": [],
}
"""Members that are compared as a whole, with what stands for a missing one."""


def changes_between(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """Give the body of the PATCH; empty when nothing is to be changed.

    Args:
        wanted: Members as for a create.
        there: RunPod's description of the endpoint.

    Raises:
        BadRequest: It is a change that RunPod cannot make.
    """
    _check_family(wanted, there)
    changes = {
        name: wanted[name]
        for name, missing in _PLAIN.items()
        if name in wanted and _plain(wanted[name], missing) != _plain(there.get(name), missing)
    }
    for name in ("workers", "scaling"):
        if name in wanted and not includes(there.get(name) or {}, wanted[name]):
            changes[name] = dict(wanted[name])
    if "env" in wanted and _settings(wanted["env"]) != _settings(there.get("env") or {}):
        changes["env"] = dict(wanted["env"])
    if wanted.get("gpu") and (gpu := _gpu(wanted["gpu"], there.get("gpu") or {})):
        changes["gpu"] = gpu
    if wanted.get("cpu") and _flavors(wanted["cpu"]) != _flavors(there.get("cpu") or []):
        changes["cpu"] = [dict(each) for each in wanted["cpu"]]
    return changes


def another_attempt(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """Give a PATCH that changes nothing but the release."""
    number = int((there.get("env") or {}).get(ATTEMPT, "1")) + 1
    return {"env": {**wanted["env"], ATTEMPT: str(number)}}


def _check_family(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> None:
    pairs = {
        "type": (wanted.get("type"), there.get("type", "QUEUE")),
        "compute": (_family(wanted), _family(there)),
    }
    for name, (new, old) in pairs.items():
        if new and old and new != old:
            raise BadRequest(
                f"the {name} of {there.get('name')!r} is {old}; RunPod cannot change it to {new}",
                provider="runpod",
                next_step="delete the deployment first (`gpuhub delete`), or give the function"
                " another name",
            )


def _family(body: Mapping[str, Any]) -> str:
    return "GPU" if body.get("gpu") else "CPU" if body.get("cpu") else ""


def _plain(value: Any, missing: Any) -> Any:
    """Give what counts: ``null`` is nothing, and lists of names have no order."""
    value = missing if value is None else value
    return sorted(value) if isinstance(value, list) else value


def includes(there: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; RunPod may add members of its own."""
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        return all(includes(there.get(name), value) for name, value in wanted.items())
    return bool(there == wanted)


def _settings(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name not in BOOKKEEPING}


def _flavors(cpu: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    return [(each.get("id"), each.get("vcpuCount")) for each in cpu]


def _gpu(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """Give the whole selection when it differs, with constraints cleared that are gone."""
    if _shape(wanted) == _shape(there):
        return {}
    changed = dict(wanted)
    if there.get("minCudaVersion") and not wanted.get("minCudaVersion"):
        changed["minCudaVersion"] = ""
    if there.get("allowedCudaVersions") and not wanted.get("allowedCudaVersions"):
        changed["allowedCudaVersions"] = []
    return changed


def _shape(gpu: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        list(gpu.get("pools") or ()),
        sorted(gpu.get("excludedTypes") or ()),
        gpu.get("count") or 1,
        gpu.get("minCudaVersion") or "",
        sorted(gpu.get("allowedCudaVersions") or ()),
    )
