"""Quick worker processes, forked from one warm Python; see :mod:`…machines.nursery`."""

from __future__ import annotations

import contextlib
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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.workers import Reports

__all__ = ["ForkedMachine", "NurseryClient", "nursery"]

_SCRIPT = Path(__file__).with_name("nursery.py")
_LENGTH = struct.Struct("!I")


class NurseryClient:
    """Orders worker processes."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", str(_SCRIPT), str(theirs.fileno())]
        environment = {"PATH": os.environ.get("PATH", os.defpath)}
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            command, pass_fds=[theirs.fileno()], env=environment, start_new_session=True
        )
        theirs.close()
        self._socket = ours
        self._lock = threading.Lock()
        self._names = itertools.count()
        self._exited: dict[str, Callable[[int], None]] = {}
        threading.Thread(target=self._listen, name="replicate-nursery", daemon=True).start()

    def fork(
        self,
        env: Mapping[str, str],
        folder: Path,
        log: int,
        channel: int,
        exited: Callable[[int], None],
    ) -> str:
        """Start one worker; give its name, for :meth:`kill`.

        Args:
            env: All its variables.
            folder: Where it starts.
            log: Descriptor of the file for what bypasses Python's own output.
            channel: Descriptor of its end of the channel.
            exited: Called on another thread when it ended, with its exit code.
        """
        name = str(next(self._names))
        order = {"id": name, "env": dict(env), "folder": str(folder)}
        with self._lock:
            self._exited[name] = exited
            self._send(order, [log, channel])
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
    """A worker process that runs one runner.

    Args:
        env: All its variables.
        folder: Where it starts.
        log: File for what bypasses Python's own output.
        reports: Takes what it tells.
    """

    def __init__(self, env: Mapping[str, str], folder: Path, log: Path, reports: Reports) -> None:
        self._env = env
        self._folder = folder
        self._log = log
        self._reports = reports
        self._name = ""
        self._channel, self._theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._code: int | None = None
        self._ended = threading.Event()

    def start(self) -> None:
        """Fork it, and listen to it."""
        with self._log.open("ab") as log:
            self._name = nursery().fork(
                self._env,
                self._folder,
                log.fileno(),
                self._theirs.fileno(),
                self._exited,
            )
        self._theirs.close()
        threading.Thread(target=self._listen, name="replicate-worker", daemon=True).start()

    def stop(self) -> None:
        """Kill it and its group."""
        nursery().kill(self._name)
        self._ended.set()
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)

    def perform(self, prediction_id: str, inputs: dict[str, Any]) -> None:
        """Run a prediction."""
        self._send({"run": prediction_id, "input": inputs})

    def cancel(self, prediction_id: str) -> None:
        """Stop one."""
        self._send({"cancel": prediction_id})

    def _send(self, order: Mapping[str, Any]) -> None:
        line = json.dumps(order).encode() + b"\n"
        with self._lock, contextlib.suppress(OSError):  # its end is told by the nursery
            self._channel.sendall(line)

    def _exited(self, code: int) -> None:
        self._code = code
        self._ended.set()

    def _listen(self) -> None:
        """Take what it tells; its end comes last, though the nursery may know it earlier."""
        with self._channel, self._channel.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                if line.endswith(b"\n"):  # not one that its death cut off
                    self._take(json.loads(line))
        self._ended.wait()
        if self._code is not None:
            self._reports.exited(self._code)

    def _take(self, message: dict[str, Any]) -> None:
        reports = self._reports
        if "item" in message:
            reports.item(message["item"], message["value"])
        elif "logs" in message:
            reports.printed(message["logs"], message["text"])
        elif "done" in message:
            reports.done(message["done"], message["status"], message["output"], message["error"])
        elif "ready" in message:
            reports.booted()
        else:
            reports.setup_failed(message["setup_failed"])
