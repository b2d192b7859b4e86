"""Processes of replicas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gpuhub.testing.emulator.processes import WorkerProcess

__all__ = ["ProcessMachine"]


class ProcessMachine(WorkerProcess):
    """One process that serves HTTP, with all it starts.

    Args:
        command: What to run.
        env: All its variables.
        folder: Where it starts.
        log: File it prints to.
        port: Where it will listen.
        exited: Told, on another thread, that it ended by itself, with the exit code.
    """

    played = None

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        folder: Path,
        log: Path,
        port: int,
        exited: Callable[[int], None],
    ) -> None:
        super().__init__(command, env, folder, output=log, exited=exited)
        self.url = f"http://127.0.0.1:{port}"
