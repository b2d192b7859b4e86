"""Processes of replicas, each in a session of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["ProcessMachine", "free_port"]


class ProcessMachine:
    """One process that serves HTTP, with all it starts.

    Args:
        command: What to run.
        env: All its variables.
        folder: Where it starts.
        log: File it prints to.
        port: Where it will listen.
        exited: Told, on another thread, that it ended by itself, with the exit code.
    """

    played = None

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        folder: Path,
        log: Path,
        port: int,
        exited: Callable[[int], None],
    ) -> None:
        self._command = command
        self._env = env
        self._folder = folder
        self._log = log
        self._exited = exited
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        self.url = f"http://127.0.0.1:{port}"

    def start(self) -> None:
        """Start it; what the system refuses ends it at once, as a container would end."""
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - what a test deployed
                    self._command,
                    env=dict(self._env),
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            with self._log.open("a") as log_text:
                log_text.write(f"exec {self._command[0]}: {error.strerror}\n")
            threading.Thread(target=self._exited, args=(126,), daemon=True).start()
            return
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
            self._exited(code)


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
