"""Worker processes that run the endpoint's start command, each in a session of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.jobs import Job
    from gpuhub_runpod.emulator.workers import MachineOrder

__all__ = ["ProcessMachine"]


class ProcessMachine:
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
        self._order = order
        self._command = command
        self._env = env
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Start it; what the system refuses ends it at once, as a container would end."""
        try:
            with self._order.log.path.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - what a test deployed
                    self._command,
                    env=dict(self._env),
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            self._order.log.say(f"exec {self._command[0]}: {(error.strerror or '').lower()}")
            threading.Thread(target=self._order.exited, args=(126,), daemon=True).start()
            return
        threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    def stop(self) -> None:
        """Kill it and its group; it may have children that outlive it."""
        self._is_stopped = True
        if self._process is not None:
            _kill_group(self._process.pid)

    def perform(self, jobs: list[Job]) -> None:
        """It asks for jobs by itself."""
        raise NotImplementedError

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        _kill_group(process.pid)
        if not self._is_stopped:
            self._order.exited(code)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
