"""Facts about this installation: versions, extras, adapters."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import TYPE_CHECKING, Any

from gpuhub.errors import ConfigError

if TYPE_CHECKING:
    from gpuhub.adapter import AdapterInfo
    from gpuhub.workspace import Workspace

__all__ = ["adapters", "extras", "gpuhub_version", "python_facts"]

_DISTRIBUTION = "gpuhub-sdk"


def gpuhub_version() -> str:
    """The installed version; ``unknown`` in a checkout that is not installed."""
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


def python_facts() -> dict[str, str]:
    """Version and system."""
    return {"python": platform.python_version(), "system": platform.platform(terse=True)}


def extras() -> dict[str, bool]:
    """Extras of the distribution, and whether all that each needs is there."""
    try:
        found = distribution(_DISTRIBUTION)
    except PackageNotFoundError:
        return {}
    names = found.metadata.get_all("Provides-Extra") or []
    needed = {name: list(_needed(found.requires or [], name)) for name in names}
    return {name: all(map(_is_installed, each)) for name, each in needed.items()}


def _needed(requirements: list[str], extra: str) -> Iterator[str]:
    """What an extra adds, out of lines like ``modal>=1; extra == 'modal'``."""
    for line in requirements:
        requirement, _, marker = line.partition(";")
        if f"extra == '{extra}'" in marker.replace('"', "'"):
            name = requirement.strip()
            for end in "[<>=!~ (":
                name = name.partition(end)[0]
            yield name


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def adapters(workspace: Workspace) -> list[dict[str, Any]]:
    """Every registered adapter, with whether it can be used."""
    from gpuhub import registry

    known = registry.known_info()
    return [_adapter(workspace, name, info) for name, info in known.items()]


def _adapter(workspace: Workspace, name: str, info: AdapterInfo | ConfigError) -> dict[str, Any]:
    selected = name == workspace.settings.provider
    document: dict[str, Any] = {"name": name, "selected": selected, "usable": False, "problem": ""}
    if isinstance(info, ConfigError):
        return document | {"title": "", "problem": _said(info)}
    facts: dict[str, Any] = {
        "title": info.title,
        "docs_url": info.docs_url,
        "extra": info.extra,
        "limits": {key: getattr(info.limits, key) for key in info.limits.__slots__},
        "credentials": [],
    }
    try:
        settings = workspace.provider_settings(name)
    except ConfigError as error:
        return document | facts | {"problem": _said(error)}
    missing = [each.env for each in settings.missing_credentials()]
    facts["credentials"] = [
        {"variable": each.env, "required": each.required, "set": each.name in settings.secrets}
        for each in info.credentials
    ]
    problem = f"not set: {', '.join(missing)}" if missing else ""
    return document | facts | {"usable": not missing, "problem": problem}


def _said(error: ConfigError) -> str:
    return f"{error.message}; {error.next_step}" if error.next_step else error.message
