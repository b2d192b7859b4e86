"""Quick worker processes, forked from one warm Python."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.http import listening
from gpuhub.testing.emulator.nursery import Nursery, package_folders

if TYPE_CHECKING:
    import socket

    from gpuhub_beam.emulator.containers import MachineOrder
    from gpuhub_beam.emulator.tasks import Task

__all__ = ["ForkedMachine", "nursery"]

_SERVES = ("endpoint", "asgi")


@functools.cache
def nursery() -> Nursery:
    """Give the one of this process."""
    folders = package_folders("starlette", "uvicorn", "websockets")
    return Nursery(Path(__file__).with_name("played_runner.py"), folders)


class ForkedMachine:
    """A worker process that plays beta9's runner, with its children.

    Args:
        order: What to run.
    """

    def __init__(self, order: MachineOrder) -> None:
        self._order = order
        self._name = ""
        self._listener: socket.socket | None = None
        self.port = 0
        if order.kind in _SERVES:
            self._listener = listening(0)
            self.port = int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Fork it. What connects before it listens waits in the socket's queue."""
        with self._order.log.path.open("ab") as log:
            descriptors = [log.fileno()]
            if self._listener is not None:
                descriptors.append(self._listener.fileno())
            order = {"env": dict(self._order.env), "folder": self._order.folder}
            self._name = nursery().fork(order, descriptors, self._order.exited)
        if self._listener is not None:
            self._listener.close()

    def stop(self) -> None:
        """Kill it and its group."""
        nursery().kill(self._name)
        if self._listener is not None:
            self._listener.close()

    def interrupt(self, task: Task) -> None:
        """End the process that has the task; its parent starts another."""
        if task.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(task.pid, signal.SIGUSR1)
