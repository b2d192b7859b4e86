"""Containers as processes of their own, each started as Modal starts one."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.processes import WorkerProcess
from gpuhub_modal.emulator.machines.library import library

if TYPE_CHECKING:
    from gpuhub_modal.emulator.containers import MachineOrder

__all__ = ["ProcessMachine"]

_COMMAND = (sys.executable, "-s", "-S", "-m", "modal._container_entrypoint")


class ProcessMachine(WorkerProcess):
    """One process with all it starts.

    Args:
        order: What to run.
    """

    def __init__(self, order: MachineOrder) -> None:
        paths = (order.env.get("PYTHONPATH", ""), str(library()))
        own = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
        super().__init__(
            _COMMAND,
            {**order.env, **own},
            order.folder,
            output=order.log.path("stdout"),
            errors=order.log.path("stderr"),
            exited=order.exited,
        )
