"""Quick worker processes, forked from one warm Python.

A Python of its own imports once what every worker needs, and forks: a worker starts in
milliseconds, and finds nothing of the project's but what it was shipped. What a worker is, a file
of the emulator's says, the *child*, a script without the project's packages:

* ``WARM``: names of modules that are imported before the first fork.
* ``LOGS``: how many of the first descriptors are logs: 1 (default) for all output, or 2.
* ``prepare(paths)``: sets ``sys.path`` up, before those imports.
* ``become(order, descriptors)``: is the worker, in the forked process; gives its exit code, if it
  is not 0. The descriptors are those after the logs.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gpuhub.testing.emulator.nursery.process import LENGTH

__all__ = ["Nursery", "package_folders"]

_SCRIPT = Path(__file__).with_name("process.py")


class Nursery:
    """Orders worker processes. It takes a fraction of a second to start, and keeps no state.

    Args:
        child: File that says what a worker is.
        paths: Given to its ``prepare``.
        environment: Variables of the Python that forks, beside ``PATH``.
    """

    def __init__(
        self,
        child: Path,
        paths: Sequence[str] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", str(_SCRIPT), str(theirs.fileno()), str(child)]
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [*command, *paths],
            pass_fds=[theirs.fileno()],
            env={"PATH": os.environ.get("PATH", os.defpath), **environment},
            start_new_session=True,
        )
        theirs.close()
        self._socket = ours
        self._lock = threading.Lock()
        self._names = itertools.count()
        self._exited: dict[str, Callable[[int], None]] = {}
        threading.Thread(target=self._listen, name="gpuhub-nursery", daemon=True).start()

    def fork(
        self,
        order: Mapping[str, Any],
        descriptors: Sequence[int],
        exited: Callable[[int], None],
    ) -> str:
        """Start one process; give its name, for :meth:`kill`.

        Args:
            order: JSON values: ``env``, all its variables; ``folder``, where it starts; and what
                the child wants to know.
            descriptors: Of the logs, then of what the child takes.
            exited: Called on another thread when it ended, with its exit code.
        """
        name = str(next(self._names))
        with self._lock:
            self._exited[name] = exited
            self._send({**order, "id": name}, descriptors)
        return name

    def kill(self, name: str) -> None:
        """Kill a process and its group; ``exited`` is not called for it."""
        with self._lock:
            if self._exited.pop(name, None) is not None:
                self._send({"kill": name}, ())

    def _send(self, order: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        body = json.dumps(order).encode()
        socket.send_fds(self._socket, [LENGTH.pack(len(body))], list(descriptors))
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


def package_folders(*names: str) -> list[str]:
    """Give the folders that hold these packages here, for a child that needs them."""
    specs = [importlib.util.find_spec(name) for name in names]
    found = [str(Path(spec.origin).parent.parent) for spec in specs if spec and spec.origin]
    return list(dict.fromkeys(found))
