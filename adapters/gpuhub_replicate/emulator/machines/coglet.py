"""Worker processes with Cog's own server: ``python -m cog.server.http`` in the image's ``/src``.

It is asked as Replicate's own director asks it: predictions that are answered later, told by
webhooks of Cog's server.
"""

from __future__ import annotations

import http.client
import json
import queue
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.processes import free_port, kill_group

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.workers import Reports

__all__ = ["CogletMachine"]

_LOOK_S = 0.02
_ANSWER_S = 30.0
_BUSY_TRIES = 1500
_EVENTS = ["start", "output", "logs", "completed"]
_DIED = "Worker crashed"


class CogletMachine:
    """One server with the worker it starts.

    Args:
        python: Interpreter that has the ``cog`` package; it is also first on ``PATH``, since
            Cog's server starts its worker as ``python``.
        env: All variables but the port.
        folder: The image's ``/src``.
        log: File that it prints to.
        hooks: Address for what it tells; the emulator hands that to :meth:`told`.
        reports: Takes what it tells.
    """

    def __init__(
        self,
        python: Path,
        env: Mapping[str, str],
        folder: Path,
        log: Path,
        hooks: str,
        reports: Reports,
    ) -> None:
        self._command = [str(python), "-m", "cog.server.http", "--host", "127.0.0.1"]
        self._port = free_port()
        self._env = {**env, "PORT": str(self._port)}
        self._folder = folder
        self._log = log
        self._hooks = hooks
        self._reports = reports
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = threading.Event()
        self._orders: queue.SimpleQueue[tuple[str, str, bytes]] = queue.SimpleQueue()
        self._seen: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start it, and watch it come up."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - what a test pushed
                self._command,
                env=self._env,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        for target in (self._watch, self._work):
            threading.Thread(target=target, name="replicate-coglet", daemon=True).start()

    def stop(self) -> None:
        """Kill it and its group."""
        self._is_stopped.set()
        self._orders.put(("", "", b""))
        if self._process is not None:
            kill_group(self._process.pid)

    def perform(self, prediction_id: str, inputs: dict[str, Any]) -> None:
        """Run a prediction."""
        body = {"input": inputs, "webhook": self._hooks, "webhook_events_filter": _EVENTS}
        self._orders.put(("PUT", prediction_id, json.dumps(body).encode()))

    def cancel(self, prediction_id: str) -> None:
        """Stop one."""
        self._orders.put(("POST", prediction_id, b""))

    def told(self, body: Mapping[str, Any]) -> None:
        """Take one webhook of the server's."""
        name, status = str(body["id"]), str(body["status"])
        is_over = status not in ("starting", "processing")
        with self._lock:
            self._take_logs(name, str(body.get("logs") or ""))
            if not is_over:
                self._take_items(name, body.get("output"))
                return
            count, _ = self._seen.pop(name, (0, 0))
        error, output = body.get("error"), body.get("output")
        if status == "failed" and str(error).startswith(_DIED):
            self._reports.exited(1)  # it takes no more predictions, and does not start again
            return
        rest = output[count:] if isinstance(output, list) else output
        self._reports.done(name, status, rest, error)

    def _take_logs(self, name: str, logs: str) -> None:
        count, length = self._seen.get(name, (0, 0))
        if len(logs) > length:
            self._seen[name] = (count, len(logs))
            self._reports.printed(name, logs[length:])

    def _take_items(self, name: str, output: Any) -> None:
        count, length = self._seen.get(name, (0, 0))
        if isinstance(output, list) and len(output) > count:
            self._seen[name] = (len(output), length)
            for item in output[count:]:
                self._reports.item(name, item)

    def _watch(self) -> None:
        """Wait until it is ready, then for its end."""
        process = self._process
        while process is not None and process.poll() is None and not self._is_stopped.is_set():
            health = self._health()
            if health.get("status") == "READY":
                self._reports.booted()
                break
            if health.get("status") == "SETUP_FAILED":
                self._reports.setup_failed(str(health.get("setup", {}).get("logs", "")))
                break
            self._is_stopped.wait(_LOOK_S)
        code = process.wait() if process is not None else 0
        if process is not None:
            kill_group(process.pid)
        if not self._is_stopped.is_set():
            self._reports.exited(code)

    def _health(self) -> dict[str, Any]:
        try:
            status, body = self._ask("GET", "/health-check", b"")
        except (OSError, http.client.HTTPException):
            return {}
        return dict(json.loads(body)) if status == 200 else {}

    def _work(self) -> None:
        """Send orders, one after another."""
        while not self._is_stopped.is_set():
            method, name, body = self._orders.get()
            if not method:
                return
            path = f"/predictions/{name}" + ("/cancel" if method == "POST" else "")
            try:
                status, answer = self._send(method, path, body)
            except (OSError, http.client.HTTPException):
                continue  # its end is told by whoever waits for it
            if method == "PUT" and status not in (200, 201, 202):
                words = f"status {status}: {answer.decode('utf-8', 'replace')}"
                self._reports.done(name, "failed", None, words)

    def _send(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        status, answer = self._ask(method, path, body)
        for _ in range(_BUSY_TRIES):  # a slot is free a moment after its webhook was sent
            if status != 409 or self._is_stopped.wait(_LOOK_S):
                break
            status, answer = self._ask(method, path, body)
        return status, answer

    def _ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_S)
        headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
