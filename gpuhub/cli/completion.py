"""What the shell offers after TAB. Never fails, never asks a provider, never makes a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from gpuhub.errors import GpuHubError

__all__ = ["complete_deployments", "complete_providers"]


def complete_providers(incomplete: str) -> list[str]:
    """Names of the installed adapters."""
    from gpuhub import registry

    return [name for name in registry.available() if name.startswith(incomplete)]


def complete_deployments(incomplete: str) -> list[str]:
    """Names of the project's deployments, as the journal knows them, without the app's name."""
    return sorted({name for name in _deployments() if name.startswith(incomplete)})


def _deployments() -> Iterator[str]:
    from gpuhub.workspace import Workspace

    with suppress(GpuHubError, OSError):
        workspace = Workspace()
        if not workspace.settings.journal.exists():
            return
        try:
            for record in workspace.journal.deployments():
                yield record.ref.name.removeprefix(f"{workspace.settings.app}-")
        finally:
            workspace.close()
