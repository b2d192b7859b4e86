"""Makes machines of the kind that is asked for."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.containers import container_env, make_folders
from gpuhub_modal.emulator.machines.forked import ForkedMachine
from gpuhub_modal.emulator.machines.process import ProcessMachine

if TYPE_CHECKING:
    from pathlib import Path

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
        make_folders(self._folder, "home", "tmp", "tasks", "volumes")

    def make(self, order: MachineOrder) -> Machine:
        """Make the machine of a container."""
        env = {**order.env, **container_env(self._folder, sys.executable)}
        order = replace(order, env=env)
        if self._options.containers == "process":
            return ProcessMachine(order)
        return ForkedMachine(order)
