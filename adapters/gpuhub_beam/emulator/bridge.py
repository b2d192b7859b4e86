"""The gRPC face: a process with the ``beta9`` package that passes each call on as JSON."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

__all__ = ["Bridge"]

_SCRIPT = Path(__file__).with_name("grpc_face.py")


class Bridge:
    """One such process.

    Args:
        python: Interpreter that has ``beta9``.
        url: Base address of the emulator.
        folder: For what it prints.
    """

    def __init__(self, python: Path, url: str, folder: Path) -> None:
        self._command = [str(python), "-I", str(_SCRIPT), url]
        self._log = folder / "grpc-face.log"
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Start it; give its address, ``host:port``.

        Raises:
            RuntimeError: It did not start.
        """
        environment = {"PATH": os.defpath, "HOME": str(self._folder / "home")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own script
                self._command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None  # noqa: S101 - a pipe, see above
        address = self._process.stdout.readline().strip()
        if not address:
            self.stop()
            raise RuntimeError(f"the gRPC face did not start: {self._log.read_text()[-2000:]}")
        return address

    def stop(self) -> None:
        """End it. May be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
