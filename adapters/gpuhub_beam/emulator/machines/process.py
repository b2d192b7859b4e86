"""Containers that run beta9's own runner, each in a session of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

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


class RunnerMachine:
    """``python -m beta9.runner.<kind>`` with all it starts.

    Args:
        order: What to run.
        python: Interpreter that has ``beta9``.
    """

    def __init__(self, order: MachineOrder, python: Path) -> None:
        self._order = order
        self._command = [str(python), "-m", f"beta9.runner.{_MODULES[order.kind]}"]
        bound = _free_port()
        self._env = {**order.env, "BIND_PORT": str(bound)}
        self.port = bound if order.kind in _SERVES else 0
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Start it."""
        with self._order.log.path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - what a test deployed
                self._command,
                env=self._env,
                cwd=self._order.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    def stop(self) -> None:
        """Kill it and its group; it may have children that outlive it."""
        self._is_stopped = True
        if self._process is not None:
            _kill_group(self._process.pid)

    def interrupt(self, task: Task) -> None:
        """Its monitor tells it, through the task's own stream."""

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        _kill_group(process.pid)
        if not self._is_stopped:
            self._order.exited(code)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
