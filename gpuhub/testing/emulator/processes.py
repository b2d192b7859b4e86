"""Workers that are processes of their own: started, watched, ended with all they started."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["WorkerProcess", "free_port", "kill_group"]

_PORTS = range(20_000, 32_000)
_PORT_TRIES = 100


class WorkerProcess:
    """One process in a session of its own.

    Args:
        command: What to run.
        env: All its variables.
        folder: Where it starts.
        output: File it prints to.
        errors: File of its errors. Default: the same.
        exited: Told, on another thread, that it ended by itself, with the exit code.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        folder: Path | str,
        *,
        output: Path,
        errors: Path | None = None,
        exited: Callable[[int], None],
    ) -> None:
        self.command = command
        self._env = env
        self._folder = folder
        self._output = output
        self._errors = errors or output
        self._exited = exited
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Start it; what the system refuses ends it at once, as a container would end."""
        try:
            with self._output.open("ab") as output, self._errors.open("ab") as errors:
                process = subprocess.Popen(  # noqa: S603 - what a test deployed
                    self.command,
                    env=dict(self._env),
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    start_new_session=True,
                )
        except OSError as error:
            self.refused(self.command[0], error.strerror or "")
            threading.Thread(target=self._exited, args=(126,), daemon=True).start()
            return
        self._process = process
        threading.Thread(target=self._watch, args=(process,), daemon=True).start()

    def refused(self, program: str, why: str) -> None:
        """Say why it cannot be started, where its output would be."""
        with self._errors.open("a") as log:
            log.write(f"exec {program}: {why}\n")

    def stop(self) -> None:
        """Kill it and its group; it may have children that outlive it."""
        self._is_stopped = True
        if self._process is not None:
            kill_group(self._process.pid)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        kill_group(process.pid)
        if not self._is_stopped:
            self._exited(code)


def kill_group(pid: int) -> None:
    """Kill a process and its group, if they are still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def free_port(count: int = 1) -> int:
    """Give a port of 127.0.0.1 that nobody listens on, below those a system gives to connections.

    One of those may be given to somebody else before it is taken.

    Args:
        count: How many are needed, one after another.

    Raises:
        OSError: There is none.
    """
    for _ in range(_PORT_TRIES):
        first = secrets.choice(_PORTS)
        with contextlib.suppress(OSError), contextlib.ExitStack() as probes:
            for port in range(first, first + count):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise OSError("no port is free")
