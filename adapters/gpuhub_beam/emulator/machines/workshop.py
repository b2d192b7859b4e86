"""Decides what runs a container, unpacks its code, and makes the machine."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.containers import (
    VendorPythonMissing,
    container_env,
    make_folders,
    vendor_python,
)
from gpuhub_beam.emulator.machines.forked import ForkedMachine
from gpuhub_beam.emulator.machines.process import RunnerMachine

if TYPE_CHECKING:
    from gpuhub_beam.emulator.containers import Machine, MachineOrder
    from gpuhub_beam.emulator.options import EmulatorOptions

__all__ = ["Beta9Missing", "Workshop", "beta9_python"]


class Beta9Missing(VendorPythonMissing):
    """There is no Python with the ``beta9`` package for real runners."""


class Workshop:
    """Makes machines.

    Args:
        options: Of the emulator.
        folder: For code, logs, homes and temporary files of the containers.
    """

    def __init__(self, options: EmulatorOptions, folder: Path) -> None:
        self._options = options
        self.folder = folder

    def open(self) -> None:
        """Make the folders; whoever made this removes them."""
        make_folders(self.folder, "code", "home", "tmp", "volumes")

    def unpacked(self, object_id: str, archive: Path | None) -> Path:
        """Give the folder that stands for ``/mnt/code``; unpacked once for each object."""
        folder = self.folder / "code" / object_id
        if not folder.exists():
            folder.mkdir()
            if archive is not None:
                with zipfile.ZipFile(archive) as whole:
                    whole.extractall(folder)
        return folder

    def make(self, order: MachineOrder) -> Machine:
        """Make the machine of a container."""
        if self._options.workers == "stub":
            return ForkedMachine(order)
        return RunnerMachine(order, beta9_python(self._options.beta9_python))

    def environment(self) -> dict[str, str]:
        """What a container has by itself."""
        is_stub = self._options.workers == "stub"
        python = Path(sys.executable) if is_stub else beta9_python(self._options.beta9_python)
        return {**container_env(self.folder, python), "PYTHONUNBUFFERED": "1"}


def beta9_python(configured: str = "") -> Path:
    """Give an interpreter that has the ``beta9`` package.

    Args:
        configured: Its path. Empty: that of ``BEAM_WORKER_PYTHON``, else of ``.venv-beam`` in this
            folder or one above it.

    Raises:
        Beta9Missing: There is none; says how to make one.
    """
    return vendor_python("beam", "the beta9 package", configured, Beta9Missing)
