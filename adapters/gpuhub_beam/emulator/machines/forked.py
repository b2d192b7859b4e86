"""Quick worker processes, forked from one warm Python; see :mod:`…machines.nursery`."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuhub_beam.emulator.containers import MachineOrder
    from gpuhub_beam.emulator.tasks import Task

__all__ = ["ForkedMachine", "NurseryClient", "nursery"]

_SCRIPT = Path(__file__).with_name("nursery.py")
_RUNNER = Path(__file__).with_name("played_runner.py")
_LENGTH = struct.Struct("!I")
_SERVES = ("endpoint", "asgi")


class NurseryClient:
    """Orders worker processes."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", str(_SCRIPT), str(theirs.fileno()), str(_RUNNER)]
        environment = {"PATH": os.environ.get("PATH", os.defpath)}
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [*command, *_package_folders()],
            pass_fds=[theirs.fileno()],
            env=environment,
            start_new_session=True,
        )
        theirs.close()
        self._socket = ours
        self._lock = threading.Lock()
        self._names = itertools.count()
        self._exited: dict[str, Callable[[int], None]] = {}
        threading.Thread(target=self._listen, name="beam-nursery", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether it still takes orders."""
        return self._process.poll() is None

    def fork(
        self,
        env: Mapping[str, str],
        folder: str,
        descriptors: list[int],
        exited: Callable[[int], None],
    ) -> str:
        """Start one process; give its name, for :meth:`kill`.

        Args:
            env: All its variables.
            folder: Where it starts, and imports from.
            descriptors: Of the file it prints to, and of the socket it listens on, if it does.
            exited: Called on another thread when it ended, with its exit code.
        """
        name = str(next(self._names))
        order = {"id": name, "env": dict(env), "folder": folder}
        with self._lock:
            self._exited[name] = exited
            self._send(order, descriptors)
        return name

    def kill(self, name: str) -> None:
        """Kill a process and its group; ``exited`` is not called for it."""
        with self._lock:
            if self._exited.pop(name, None) is not None:
                self._send({"kill": name}, [])

    def _send(self, order: Mapping[str, object], descriptors: list[int]) -> None:
        body = json.dumps(order).encode()
        socket.send_fds(self._socket, [_LENGTH.pack(len(body))], descriptors)
        self._socket.sendall(body)

    def _listen(self) -> None:
        with self._socket.makefile("rb") as reports:
            for line in reports:
                report = json.loads(line)
                with self._lock:
                    exited = self._exited.pop(report["id"], None)
                if exited is not None:
                    exited(report["code"])
        self._process.wait()


@functools.cache
def nursery() -> NurseryClient:
    """Give the one of this process: it takes half a second to start, and keeps no state."""
    return NurseryClient()


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
            self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            self._listener.bind(("127.0.0.1", 0))
            self._listener.listen(512)
            self.port = int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Fork it. What connects before it listens waits in the socket's queue."""
        with self._order.log.path.open("ab") as log:
            descriptors = [log.fileno()]
            if self._listener is not None:
                descriptors.append(self._listener.fileno())
            order = self._order
            self._name = nursery().fork(order.env, order.folder, descriptors, order.exited)
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


def _package_folders() -> list[str]:
    """Folders of what a worker's server is made of; none of the project's own."""
    found = []
    for name in ("starlette", "uvicorn"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            found.append(str(Path(spec.origin).parent.parent))
    return list(dict.fromkeys(found))
