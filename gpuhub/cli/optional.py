"""Functions that an adapter's module may have beside the seam: ``export`` and ``emulator``."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gpuhub.errors import AdapterNotInstalled, ConfigError, UnsupportedSetting

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
    found = _function_of(workspace.adapter_module(provider), function)
    if found is not None:
        return found
    names = ", ".join(providing(workspace, function)) or "none"
    raise UnsupportedSetting(
        f"the adapter {provider!r} has no {function}",
        provider=provider,
        next_step=f"adapters with one: {names}",
    )


def _found(workspace: Workspace, name: str, function: str) -> bool:
    try:
        return _function_of(workspace.adapter_module(name), function) is not None
    except ConfigError:
        return False


def _function_of(module: Any, function: str) -> Callable[..., Any] | None:
    """The module's function, or that of its submodule of the same name."""
    found = getattr(module, function, None)
    if callable(found):
        made: Callable[..., Any] = found
        return made
    name = f"{getattr(module, '__name__', '')}.{function}"
    try:
        inner = getattr(import_module(name), function, None)
    except ModuleNotFoundError as error:
        if error.name is not None and name.startswith(error.name):
            return None  # there is no such submodule
        raise AdapterNotInstalled(
            f"{name} cannot be imported: {error}",
            next_step='pip install "gpuhub-sdk[emulator]"',
        ) from error
    return inner if callable(inner) else None
