"""Containers as processes of their own, each started as Modal starts one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from gpuhub_modal.emulator.machines.library import library

if TYPE_CHECKING:
    from gpuhub_modal.emulator.containers import MachineOrder

__all__ = ["ProcessMachine"]


class ProcessMachine:
    """One process with all it starts.

    Args:
        order: What to run.
    """

    def __init__(self, order: MachineOrder) -> None:
        self._order = order
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Start it."""
        env = dict(self._order.env)
        paths = (env.get("PYTHONPATH", ""), str(library()))
        env |= {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-s", "-S", "-m", "modal._container_entrypoint"]
        log = self._order.log
        with log.path("stdout").open("ab") as output, log.path("stderr").open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - Modal's own entry point
                command,
                env=env,
                cwd=self._order.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    def stop(self) -> None:
        """Kill it and its group; it may have children that outlive it."""
        self._is_stopped = True
        if self._process is not None:
            _kill_group(self._process.pid)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        _kill_group(process.pid)
        if not self._is_stopped:
            self._order.exited(code)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
