"""Quick worker processes, forked from one warm Python."""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.nursery import Nursery

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.workers import Reports

__all__ = ["ForkedMachine", "nursery"]

_STANDIN = Path(__file__).parent.parent / "standin"


@functools.cache
def nursery() -> Nursery:
    """Give the one of this process."""
    return Nursery(Path(__file__).with_name("child.py"), [str(_STANDIN)])


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
            order = {"env": dict(self._env), "folder": str(self._folder)}
            descriptors = [log.fileno(), self._theirs.fileno()]
            self._name = nursery().fork(order, descriptors, self._exited)
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
