"""What the containers of all emulators have by themselves: folders, variables, a Python."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["VendorPythonMissing", "container_env", "make_folders", "vendor_python"]


class VendorPythonMissing(RuntimeError):  # noqa: N818 - says what is the matter
    """There is no Python with a provider's own package for real workers."""


def make_folders(folder: Path, *names: str) -> None:
    """Make an emulator's folder, for its user alone, with some in it; they may be there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in names:
        (folder / name).mkdir(exist_ok=True)


def container_env(folder: Path, python: Path | str) -> dict[str, str]:
    """Give the variables of a container.

    Args:
        folder: The emulator's, with ``home`` and ``tmp`` in it.
        python: Interpreter that is found by name.
    """
    return {
        "HOME": str(folder / "home"),
        "LANG": "C.UTF-8",
        "PATH": os.pathsep.join((str(Path(python).parent), os.defpath)),
        "TMPDIR": str(folder / "tmp"),
    }


def vendor_python(
    provider: str,
    packages: str,
    configured: str,
    missing: type[VendorPythonMissing],
    is_fit: Callable[[Path], bool] = Path.is_file,
) -> Path:
    """Give an interpreter that has a provider's own packages.

    Args:
        provider: Its name.
        packages: What it must have, as in a sentence.
        configured: Its path. Empty: that of ``<PROVIDER>_WORKER_PYTHON``, else of
            ``.venv-<provider>`` in this folder or one above it.
        missing: What is raised where there is none; says how to make one.
        is_fit: Whether a path is one.
    """
    variable, environment = f"{provider.upper()}_WORKER_PYTHON", f".venv-{provider}"
    named = configured or os.environ.get(variable, "")
    folders = [Path.cwd(), *Path.cwd().parents]
    found = [Path(named)] if named else [each / environment / "bin/python" for each in folders]
    for python in found:
        if is_fit(python):
            return python
    raise missing(
        f"there is no Python with {packages} ({named or environment}): run "
        f"UV_PROJECT_ENVIRONMENT={environment} uv sync --no-default-groups --group "
        f"vendor-{provider}, or set {variable}"
    )
