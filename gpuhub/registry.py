"""Finding adapters by name: entry points, loaded only when used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from gpuhub.errors import AdapterNotInstalled, ConfigError, UnknownProvider

if TYPE_CHECKING:
    from gpuhub.adapter import AdapterInfo, AdapterModule

__all__ = ["GROUP", "available", "known_info", "load", "provider_of_scheme"]

GROUP = "gpuhub.adapters"


def available() -> Mapping[str, EntryPoint]:
    """The registered adapters by name, none of them imported.

    Looked up once for each ``sys.path``: it reads the metadata of all that is installed, which
    takes longer than all else that a workspace does before its first call.
    """
    return _registered(tuple(sys.path))


@lru_cache(maxsize=8)
def _registered(_path: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    return MappingProxyType({point.name: point for point in sorted(entry_points(group=GROUP))})


def load(name: str) -> AdapterModule:
    """Import one adapter.

    Raises:
        UnknownProvider: No adapter has that name.
        AdapterNotInstalled: Importing it failed.
    """
    points = available()
    if name not in points:
        near = get_close_matches(name, points, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        msg = f"unknown provider {name!r}; registered: {', '.join(points) or 'none'}"
        raise UnknownProvider(
            msg, next_step=f"{hint}set `provider` in gpuhub.toml or GPUHUB_PROVIDER to one of them"
        )
    try:
        module = points[name].load()
    except ImportError as error:
        msg = f"the adapter {name!r} cannot be imported: {error}"
        raise AdapterNotInstalled(
            msg, provider=name, next_step=f'pip install "gpuhub-sdk[{name}]"'
        ) from error
    if not (hasattr(module, "INFO") and hasattr(module, "create")):
        msg = f"the adapter {name!r} ({points[name].value}) has no INFO or no create"
        raise AdapterNotInstalled(msg, provider=name, next_step="see adapters/README.md")
    return cast("AdapterModule", module)


def known_info() -> Mapping[str, AdapterInfo | ConfigError]:
    """Facts of every registered adapter; the error of those that cannot be imported."""
    facts: dict[str, AdapterInfo | ConfigError] = {}
    for name in available():
        try:
            facts[name] = load(name).INFO
        except ConfigError as error:
            facts[name] = error
    return facts


def provider_of_scheme(scheme: str) -> str:
    """The adapter that takes ``scheme://…`` addresses.

    Raises:
        UnknownProvider: None does.
    """
    if scheme in available():
        return scheme
    for name, info in known_info().items():
        if not isinstance(info, ConfigError) and scheme in info.schemes:
            return name
    return load(scheme).INFO.name
