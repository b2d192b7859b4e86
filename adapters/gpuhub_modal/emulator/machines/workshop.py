"""Makes machines of the kind that is asked for."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub_modal.emulator.machines.forked import ForkedMachine
from gpuhub_modal.emulator.machines.process import ProcessMachine

if TYPE_CHECKING:
    from gpuhub_modal.emulator.containers import Machine, MachineOrder
    from gpuhub_modal.emulator.options import EmulatorOptions

__all__ = ["Workshop"]


class Workshop:
    """Makes machines.

    Args:
        options: Of the emulator.
        folder: For homes and temporary files of containers.
    """

    def __init__(self, options: EmulatorOptions, folder: Path) -> None:
        self._options = options
        self._folder = folder

    def open(self) -> None:
        """Make the folders; whoever made this removes them."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for name in ("home", "tmp", "tasks", "volumes"):
            (self._folder / name).mkdir(exist_ok=True)

    def make(self, order: MachineOrder) -> Machine:
        """Make the machine of a container."""
        path = os.pathsep.join((str(Path(sys.executable).parent), os.defpath))
        own = {
            "HOME": str(self._folder / "home"),
            "LANG": "C.UTF-8",
            "PATH": path,
            "TMPDIR": str(self._folder / "tmp"),
        }
        order = replace(order, env={**order.env, **own})
        if self._options.containers == "process":
            return ProcessMachine(order)
        return ForkedMachine(order)
