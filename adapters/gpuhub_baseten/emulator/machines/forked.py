"""Quick replicas, forked from one warm Python; see :mod:`…machines.nursery`."""

from __future__ import annotations

import functools
import importlib.util
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
from typing import Any

from gpuhub_baseten.emulator.machines.kinds import Order

__all__ = ["ForkedMachine", "NurseryClient", "nursery"]

_SCRIPT = Path(__file__).with_name("nursery.py")
_LENGTH = struct.Struct("!I")


class NurseryClient:
    """Orders replica processes."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", str(_SCRIPT), str(theirs.fileno()), *_site_folders()]
        environment = {"PATH": os.environ.get("PATH", os.defpath)}
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            command, pass_fds=[theirs.fileno()], env=environment, start_new_session=True
        )
        theirs.close()
        self._socket = ours
        self._lock = threading.Lock()
        self._names = itertools.count()
        self._exited: dict[str, Callable[[int], None]] = {}
        threading.Thread(target=self._listen, name="baseten-nursery", daemon=True).start()

    def fork(
        self,
        order: Mapping[str, Any],
        log: int,
        listener: int,
        exited: Callable[[int], None],
    ) -> str:
        """Start one replica; give its name, for :meth:`kill`.

        Args:
            order: What it has to run, see :mod:`…machines.stub`.
            log: Descriptor of the file it prints to.
            listener: Descriptor of the socket it serves.
            exited: Called on another thread when it ended, with its exit code.
        """
        name = str(next(self._names))
        with self._lock:
            self._exited[name] = exited
            self._send({**order, "id": name}, [log, listener])
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
    """Give the one of this process: it takes a fifth of a second to start, and keeps no state."""
    return NurseryClient()


class ForkedMachine:
    """A process that plays Truss's server.

    Args:
        order: What to run.
    """

    played = None

    def __init__(self, order: Order) -> None:
        self._order = order
        self._name = ""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def start(self) -> None:
        """Fork it."""
        order = {
            "root": str(self._order.image),
            "config": dict(self._order.config),
            "env": dict(self._order.env),
            "secrets": dict(self._order.secrets),
            "environment": self._order.environment,
        }
        with self._order.log.open("ab") as log:
            self._name = nursery().fork(
                order, log.fileno(), self._listener.fileno(), self._order.exited
            )
        self._listener.close()

    def stop(self) -> None:
        """Kill it and its group."""
        nursery().kill(self._name)


def _site_folders() -> list[str]:
    """Where the packages are that the stub server needs."""
    found = []
    for name in ("starlette", "uvicorn", "anyio", "h11"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            found.append(str(Path(spec.origin).parent.parent))
    return list(dict.fromkeys(found))
