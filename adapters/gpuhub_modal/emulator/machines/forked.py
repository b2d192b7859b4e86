"""Quick containers, forked from one warm Python; see :mod:`…machines.nursery`."""

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

from gpuhub_modal.emulator.machines.library import library

if TYPE_CHECKING:
    from gpuhub_modal.emulator.containers import MachineOrder

__all__ = ["ForkedMachine", "NurseryClient", "nursery"]

_SCRIPT = Path(__file__).with_name("nursery.py")
_LENGTH = struct.Struct("!I")


class NurseryClient:
    """Orders containers."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        folder = str(library())
        command = [sys.executable, "-I", "-S", str(_SCRIPT), str(theirs.fileno()), folder]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "MODAL_IS_REMOTE": "1"}
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            command, pass_fds=[theirs.fileno()], env=environment, start_new_session=True
        )
        theirs.close()
        self._socket = ours
        self._lock = threading.Lock()
        self._names = itertools.count()
        self._exited: dict[str, Callable[[int], None]] = {}
        threading.Thread(target=self._listen, name="modal-nursery", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether it still takes orders."""
        return self._process.poll() is None

    def fork(
        self,
        env: Mapping[str, str],
        folder: Path,
        logs: tuple[int, int],
        exited: Callable[[int], None],
    ) -> str:
        """Start one container; give its name, for :meth:`kill`.

        Args:
            env: All its variables.
            folder: Where it starts.
            logs: Descriptors of the files it prints to: output, errors.
            exited: Called on another thread when it ended, with its exit code.
        """
        name = str(next(self._names))
        order = {"id": name, "env": dict(env), "folder": str(folder)}
        with self._lock:
            self._exited[name] = exited
            self._send(order, logs)
        return name

    def kill(self, name: str) -> None:
        """Kill a container and its group; ``exited`` is not called for it."""
        with self._lock:
            if self._exited.pop(name, None) is not None:
                self._send({"kill": name}, ())

    def _send(self, order: Mapping[str, object], descriptors: tuple[int, ...]) -> None:
        body = json.dumps(order).encode()
        socket.send_fds(self._socket, [_LENGTH.pack(len(body))], list(descriptors))
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
    """A forked container.

    Args:
        order: What to run.
    """

    def __init__(self, order: MachineOrder) -> None:
        self._order = order
        self._name = ""

    def start(self) -> None:
        """Fork it."""
        log = self._order.log
        with log.path("stdout").open("ab") as output, log.path("stderr").open("ab") as errors:
            self._name = nursery().fork(
                self._order.env,
                self._order.folder,
                (output.fileno(), errors.fileno()),
                self._order.exited,
            )

    def stop(self) -> None:
        """Kill it and its group."""
        nursery().kill(self._name)
