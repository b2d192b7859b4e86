"""Imports the user's code from an unpacked bundle."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gpuhub.worker.find import MANIFEST, find_object, raw_object
from gpuhub.worker.handler import Handler
from gpuhub.worker.target import Target

__all__ = ["load_bundle", "load_target", "read_manifest"]


def read_manifest(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the manifest of an unpacked bundle.

    Raises:
        ValueError: The folder holds no bundle.
    """
    path = Path(folder, MANIFEST)
    try:
        manifest = json.loads(path.read_text("utf-8"))
        Target.from_dict(manifest["target"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder} is no gpuhub bundle: {path.name}: {error}") from error
    return dict(manifest)


def load_bundle(folder: str | os.PathLike[str]) -> Handler:
    """Give the handler of an unpacked bundle's target; see :func:`load_target`.

    Raises:
        ValueError: The folder holds no bundle.
    """
    manifest = read_manifest(folder)
    target = Target.from_dict(manifest["target"])
    path, secrets = manifest.get("path", ["app"]), manifest.get("secrets", ())
    return load_target(folder, target, path, secrets)


def load_target(
    folder: str | os.PathLike[str] | None,
    target: Target,
    path: list[str] | None = None,
    secrets: Iterable[str] = (),
) -> Handler:
    """Import the target's module and give its handler.

    User code that fails to import gives a handler that reports this on every call: a worker
    that crashed instead would be started again and again, and its caller would learn nothing.

    Args:
        folder: The unpacked bundle. ``None``: the module can be imported already.
        target: What to load.
        path: Folders of the bundle that modules are imported from. Default: ``app``.
        secrets: Environment variables whose values no error may show.
    """
    try:
        if folder is not None:
            _extend_path(Path(folder).resolve(), path or ["app"])
        return Handler(raw_object(find_object(target)), target, secrets=secrets)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  (importing runs the user's code)
        return Handler.failed(target, error, secrets=secrets)


def _extend_path(folder: Path, path: list[str]) -> None:
    wanted = [os.path.normpath(folder / entry) for entry in [*path, "runtime"]]
    # One of the bundle's folders may hold the very gpuhub that runs this: keep its place.
    sys.path[:] = [*wanted, *(entry for entry in sys.path if entry not in wanted)]
    importlib.invalidate_caches()
