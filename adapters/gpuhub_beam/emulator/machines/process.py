"""Containers that run beta9's own runner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.processes import WorkerProcess, free_port

if TYPE_CHECKING:
    from gpuhub_beam.emulator.containers import MachineOrder
    from gpuhub_beam.emulator.tasks import Task

__all__ = ["RunnerMachine"]

_MODULES = {
    "endpoint": "endpoint",
    "asgi": "endpoint",
    "taskqueue": "taskqueue",
    "function": "function",
    "schedule": "function",
}
_SERVES = ("endpoint", "asgi")


class RunnerMachine(WorkerProcess):
    """``python -m beta9.runner.<kind>`` with all it starts.

    Args:
        order: What to run.
        python: Interpreter that has ``beta9``.
    """

    def __init__(self, order: MachineOrder, python: Path) -> None:
        bound = free_port()
        self.port = bound if order.kind in _SERVES else 0
        super().__init__(
            [str(python), "-m", f"beta9.runner.{_MODULES[order.kind]}"],
            {**order.env, "BIND_PORT": str(bound)},
            order.folder,
            output=order.log.path,
            exited=order.exited,
        )

    def interrupt(self, task: Task) -> None:
        """Its monitor tells it, through the task's own stream."""
