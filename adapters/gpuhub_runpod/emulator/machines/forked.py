"""Quick worker processes, forked from one warm Python; see :mod:`…machines.nursery`."""

from __future__ import annotations

import functools
import itertools
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.jobs import Job
    from gpuhub_runpod.emulator.workers import MachineOrder

__all__ = ["STANDIN", "ForkedMachine", "NurseryClient", "nursery"]

STANDIN = Path(__file__).parent.parent / "standin"
"""Folder that holds the stand-in for the ``runpod`` package."""

_SCRIPT = Path(__file__).with_name("nursery.py")
_LENGTH = struct.Struct("!I")


class NurseryClient:
    """Orders worker processes."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", str(_SCRIPT), str(theirs.fileno()), str(STANDIN)]
        environment = {"PATH": os.environ.get("PATH", os.defpath)}
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            command, pass_fds=[theirs.fileno()], env=environment, start_new_session=True
        )
        theirs.close()
        self._socket = ours
        self._lock = threading.Lock()
        self._names = itertools.count()
        self._exited: dict[str, Callable[[int], None]] = {}
        threading.Thread(target=self._listen, name="runpod-nursery", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether it still takes orders."""
        return self._process.poll() is None

    def fork(
        self,
        script: str,
        env: Mapping[str, str],
        folder: Path,
        log: int,
        exited: Callable[[int], None],
    ) -> str:
        """Start one process that runs a script; give its name, for :meth:`kill`.

        Args:
            script: Text of the script.
            env: All its variables.
            folder: Where it starts.
            log: Descriptor of the file it prints to.
            exited: Called on another thread when it ended, with its exit code.
        """
        name = str(next(self._names))
        order = {"id": name, "script": script, "env": dict(env), "folder": str(folder)}
        with self._lock:
            self._exited[name] = exited
            self._send(order, [log])
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
    """Give the one of this process: it takes a tenth of a second to start, and keeps no state."""
    return NurseryClient()


class ForkedMachine:
    """A worker process that runs one script.

    Args:
        order: What to run.
        script: Text of the script.
        env: All its variables.
        folder: Where it starts.
    """

    at_once = 0

    def __init__(
        self, order: MachineOrder, script: str, env: Mapping[str, str], folder: Path
    ) -> None:
        self._order = order
        self._script = script
        self._env = env
        self._folder = folder
        self._name = ""

    def start(self) -> None:
        """Fork it."""
        with self._order.log.path.open("ab") as log:
            self._name = nursery().fork(
                self._script,
                self._env,
                self._folder,
                log.fileno(),
                self._order.exited,
            )

    def stop(self) -> None:
        """Kill it and its group."""
        nursery().kill(self._name)

    def perform(self, jobs: list[Job]) -> None:
        """It asks for jobs by itself."""
        raise NotImplementedError
