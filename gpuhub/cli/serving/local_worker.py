"""One local worker: a subprocess that runs a bundle behind a port."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub.cli.serving.building import Served
    from gpuhub.cli.serving.events import Events

__all__ = ["LocalWorker", "is_free"]

HOST = "127.0.0.1"
_STOP_WITHIN_S = 3.0
_HEALTH_WITHIN_S = 5.0
_ANNOUNCEMENT = '{"gpuhub_worker":'


def is_free(port: int) -> bool:
    """Whether a worker could listen on a port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


class LocalWorker:
    """Runs from the moment it is made until :meth:`stop`; tells when it is ready.

    Args:
        served: What to run.
        port: Port to listen on; 0 takes a free one.
        events: Told what happens, on a thread of the worker's.
    """

    def __init__(self, served: Served, port: int, events: Events) -> None:
        self._served = served
        self._events = events
        self._stopping = False
        command = [sys.executable, "-m", "gpuhub.worker", "serve", "--bundle", served.folder]
        command += ["--host", HOST, "--port", str(port), "--announce"]
        command += ["--concurrency", str(served.concurrency), "--parent-pid", str(os.getpid())]
        self._process = subprocess.Popen(  # noqa: S603 - our own worker
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment(),
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self._thread = threading.Thread(target=self._listen, name="gpuhub-serve", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the process; kill it when it does not end by itself."""
        self._stopping = True
        self._process.terminate()
        try:
            self._process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(_STOP_WITHIN_S)

    def _environment(self) -> dict[str, str]:
        secrets = {
            name: os.environ[here]
            for name, here in self._served.secrets.items()
            if here in os.environ
        }
        unbuffered = {"PYTHONUNBUFFERED": "1"}
        return {**os.environ, **unbuffered, **self._served.env, **secrets}

    def _listen(self) -> None:
        """Pass on what the worker prints, until it ends."""
        stream = self._process.stdout
        if stream is None:
            return
        with stream:
            for line in stream:
                if line.startswith(_ANNOUNCEMENT):
                    self._announced(json.loads(line)["gpuhub_worker"])
                else:
                    self._events.log(self._served, line.rstrip("\n"))
        code = self._process.wait()
        if not self._stopping:
            self._events.ended(self._served, code)

    def _announced(self, facts: dict[str, Any]) -> None:
        if facts.get("status") == "ready":
            self._events.ready(self._served, f"http://{HOST}:{facts['port']}")
        else:
            self._events.failed(self._served, _error_of(int(facts["port"])))


def _error_of(port: int) -> dict[str, Any]:
    """Why a worker is not ready, as it tells itself."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_HEALTH_WITHIN_S)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/health")
            health = json.loads(connection.getresponse().read())
        except (OSError, ValueError) as error:
            return {"message": f"the worker does not tell why: {error}"}
    said = health.get("error", health)
    return dict(said.get("gpuhub_error", said)) if isinstance(said, dict) else {"message": said}
