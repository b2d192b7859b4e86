"""Functions that an adapter's module may have beside the seam: ``export`` and ``emulator``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gpuhub.errors import ConfigError, UnsupportedSetting

if TYPE_CHECKING:
    from gpuhub.workspace import Workspace

__all__ = ["providing", "require_function"]


def providing(workspace: Workspace, function: str) -> list[str]:
    """Names of the installed adapters that have it."""
    from gpuhub import registry

    return [name for name in registry.available() if _found(workspace, name, function)]


def require_function(workspace: Workspace, provider: str, function: str) -> Callable[..., Any]:
    """The function of one adapter.

    Raises:
        UnsupportedSetting: The adapter has none.
        ConfigError: There is no such adapter.
    """
    module = workspace.adapter_module(provider)
    found = getattr(module, function, None)
    if callable(found):
        made: Callable[..., Any] = found
        return made
    names = ", ".join(providing(workspace, function)) or "none"
    raise UnsupportedSetting(
        f"the adapter {provider!r} has no {function}",
        provider=provider,
        next_step=f"adapters with one: {names}",
    )


def _found(workspace: Workspace, name: str, function: str) -> bool:
    try:
        return callable(getattr(workspace.adapter_module(name), function, None))
    except ConfigError:
        return False
