"""Acme's calls and workers: installed beside its emulator by the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import gpuhub
from gpuhub.testing.emulator import FaultKind

ENDED = ("done", "failed", "stopped", "too-slow")


@dataclass
class Call:
    """One call; ``event`` is set when it ended."""

    id: str
    arguments: bytes
    fault: FaultKind | None = None
    state: str = "waiting"
    output: Any = None
    reason: str = ""
    event: threading.Event = field(default_factory=threading.Event)
    started_at: float = 0.0

    def end(self, state: str, output: Any = None, reason: str = "") -> None:
        """End it, once."""
        if self.state not in ENDED:
            self.state, self.output, self.reason = state, output, reason
            self.event.set()

    def shown(self) -> dict[str, Any]:
        """Give Acme's description."""
        facts = {"id": self.id, "state": self.state, "output": self.output, "reason": self.reason}
        return {name: value for name, value in facts.items() if value not in (None, "")}


class Worker:
    """A machine of one app; its process starts with its first call."""

    def __init__(self, name: str, ready_at: float) -> None:
        self.name = name
        self.ready_at = ready_at
        self.idle_since = ready_at
        self.call: Call | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._lock = threading.Lock()
        self._ended = False

    def run(self, call: Call, folder: Path, variables: dict[str, str]) -> tuple[str, Any, str]:
        """Run one call; give how it ended, with what, and why."""
        try:
            if self._process is None:
                self._begin(folder, variables)
            connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
            connection.request("POST", "/invoke", call.arguments)
            output = json.loads(connection.getresponse().read())
            connection.close()
        except (OSError, ValueError, HTTPException) as error:
            return "failed", None, f"the worker died: {type(error).__name__}"
        return "done", output, ""

    def _begin(self, folder: Path, variables: dict[str, str]) -> None:
        path = str(Path(gpuhub.__file__).parent.parent)
        command = [sys.executable, "-m", "gpuhub.worker", "serve", "--announce", "--bundle"]
        with self._lock:
            if self._ended:
                raise OSError("it was ended before it began")
            self._process = subprocess.Popen(
                [*command, str(folder / "bundle.zip"), "--parent-pid", str(os.getpid())],
                stdout=subprocess.PIPE,
                cwd=folder,
                env={"PATH": "", **variables, "PYTHONPATH": path},
            )
        assert self._process.stdout is not None
        self._port = json.loads(self._process.stdout.readline())["gpuhub_worker"]["port"]

    def kill(self) -> None:
        """End it at once, or before it begins."""
        with self._lock:
            self._ended = True
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
