"""Worker processes that run the endpoint's start command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from gpuhub.testing.emulator.processes import WorkerProcess

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.jobs import Job
    from gpuhub_runpod.emulator.workers import MachineOrder

__all__ = ["ProcessMachine"]


class ProcessMachine(WorkerProcess):
    """One process with all it starts.

    Args:
        order: What to run.
        command: The start command, split.
        env: All its variables.
        folder: Where it starts.
    """

    at_once = 0

    def __init__(
        self, order: MachineOrder, command: Sequence[str], env: Mapping[str, str], folder: Path
    ) -> None:
        super().__init__(command, env, folder, output=order.log.path, exited=order.exited)
        self._log = order.log

    @override
    def refused(self, program: str, why: str) -> None:
        self._log.say(f"exec {program}: {why.lower()}")

    def perform(self, jobs: list[Job]) -> None:
        """It asks for jobs by itself."""
        raise NotImplementedError
