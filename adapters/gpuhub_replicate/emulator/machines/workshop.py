"""Decides what kind of machine runs a worker, and makes it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.containers import (
    VendorPythonMissing,
    container_env,
    make_folders,
    vendor_python,
)
from gpuhub.testing.emulator.layers import unpack
from gpuhub_replicate.emulator.machines.coglet import CogletMachine
from gpuhub_replicate.emulator.machines.forked import ForkedMachine
from gpuhub_replicate.emulator.machines.inline import InlineMachine

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.models import Version
    from gpuhub_replicate.emulator.site import Site
    from gpuhub_replicate.emulator.workers import Machine, Reports, Worker

__all__ = ["CogletMissing", "Workshop", "coglet_python"]


class CogletMissing(VendorPythonMissing):
    """There is no Python with the ``cog`` package for real workers."""


class Workshop:
    """Makes machines.

    Args:
        site: What all parts share.
        folder: For homes, temporary files and unpacked images of the workers.
    """

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._folder = folder

    def open(self) -> None:
        """Make the folders; whoever made this removes them."""
        make_folders(self._folder, "home", "tmp", "versions")

    def make(self, worker: Worker, reports: Reports) -> Machine:
        """Make the machine of a worker, not yet started."""
        version = worker.version
        if version.played is not None:
            return InlineMachine(version.played, reports, self._site.waker.call)
        root = self._root(version)
        env = self._env(version, root)
        log = self._folder / f"{worker.id}.log"
        if self._site.options.workers == "stub":
            return ForkedMachine(env, root / "src", log, reports)
        python = coglet_python(self._site.options.coglet_python)
        hooks = f"{self._site.url}/workers/{worker.id}"
        return CogletMachine(python, env, root / "src", log, hooks, reports)

    def _root(self, version: Version) -> Path:
        """Unpack an image, once; the base's layers are no use here."""
        if version.root is None and version.image is not None:
            root = self._folder / "versions" / version.id
            (root / "src").mkdir(parents=True, exist_ok=True)
            for digest in version.image.layers:
                unpack(version.image.read(digest), root)
            version.root = root
        return version.root or self._folder

    def _env(self, version: Version, root: Path) -> dict[str, str]:
        """Give the variables of the image, its paths as ones of this machine."""
        env = dict(version.image.env) if version.image is not None else {}
        parts = env.get("PYTHONPATH", "").split(os.pathsep)
        paths = [str(root / part.lstrip("/")) if part.startswith("/") else part for part in parts]
        env["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        is_stub = self._site.options.workers == "stub"
        options = self._site.options
        python = Path(sys.executable) if is_stub else coglet_python(options.coglet_python)
        return env | container_env(self._folder, python)


def coglet_python(configured: str = "") -> Path:
    """Give an interpreter that has the ``cog`` package.

    Args:
        configured: Its path. Empty: that of ``REPLICATE_WORKER_PYTHON``, else of
            ``.venv-replicate`` in this folder or one above it.

    Raises:
        CogletMissing: There is none; says how to make one.
    """
    return vendor_python("replicate", "the cog package", configured, CogletMissing)
