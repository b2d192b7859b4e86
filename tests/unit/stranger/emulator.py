"""Acme on loopback: installed beside the adapter of docs/writing-an-adapter.md by the test.

Functions run for real, each app in a worker process of its own; Acme's time is a virtual clock.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gpuhub.testing.emulator import (
    BilledSeconds,
    Fault,
    FaultKind,
    Faults,
    Meter,
    RecordedRequest,
    RequestLog,
    masked_headers,
)
from gpuhub.testing.emulator.clocks import VirtualClock

STATUS = {"rate_limit": 429, "capacity": 503, "unauthorized": 401, "server_error": 500}
ENDED = ("done", "failed", "stopped", "too-slow")


class Refused(Exception):  # noqa: N818 - it is an answer
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Call:
    """One call; ``event`` is set when it ended."""

    id: str
    arguments: bytes
    state: str = "waiting"
    output: Any = None
    reason: str = ""
    event: threading.Event = field(default_factory=threading.Event)

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
    """A process that runs one revision of an app."""

    def __init__(self, archive: bytes, variables: dict[str, str], folder: Path) -> None:
        bundle = folder / "bundle.zip"
        bundle.write_bytes(archive)
        command = [sys.executable, "-m", "gpuhub.worker", "serve", "--announce", "--bundle"]
        self._process = subprocess.Popen(
            [*command, str(bundle)],
            stdout=subprocess.PIPE,
            cwd=folder,
            env={"PATH": "", **variables, "PYTHONPATH": _path_to_worker()},
        )
        assert self._process.stdout is not None
        self._port = json.loads(self._process.stdout.readline())["gpuhub_worker"]["port"]

    def run(self, arguments: bytes) -> Any:
        """Run one call; raises OSError when the worker is gone."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request("POST", "/invoke", arguments)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.communicate()


def _path_to_worker() -> str:
    import gpuhub

    return str(Path(gpuhub.__file__).parent.parent)


class App:
    """One deployment: its revisions, its queue and at most one worker."""

    def __init__(self, name: str, cloud: AcmeEmulator) -> None:
        self.name = name
        self.body: dict[str, Any] = {}
        self.revision = 0
        self.busy = 0
        self.idle_since = 0.0
        self._cloud = cloud
        self._worker: Worker | None = None
        self._worker_id = ""
        self._queue: SimpleQueue[Call | None] = SimpleQueue()
        self._folder = tempfile.TemporaryDirectory(prefix="acme-")
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def update(self, body: dict[str, Any]) -> None:
        """Take a new revision; the next call runs it."""
        if body != self.body:
            self.body, self.revision = body, self.revision + 1
            self.end_worker()
            if body["min_workers"]:
                self._start()

    def submit(self, call: Call) -> None:
        """Queue a call."""
        self._queue.put(call)

    def shown(self) -> dict[str, Any]:
        """Give Acme's description."""
        alive = self._worker is not None
        workers = {"idle": int(alive and not self.busy), "running": int(bool(self.busy))}
        return {
            "name": self.name,
            "revision": f"r{self.revision}",
            "state": "live",
            "workers": workers,
            "waiting": self._queue.qsize(),
        }

    def tick(self) -> None:
        """Let an idle worker go when its time is over."""
        idle = self._cloud.clock.now() - self.idle_since
        if not self.busy and not self.body.get("min_workers") and idle >= self.body["idle_seconds"]:
            self.end_worker()

    def delete(self) -> None:
        """Stop everything."""
        self._queue.put(None)
        self._thread.join(5)
        self.end_worker()
        self._folder.cleanup()

    def end_worker(self) -> None:
        """Stop the worker, whatever it does."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            self._cloud.meter.stop(self._worker_id, self._cloud.clock.now())

    def _start(self) -> Worker:
        if self._worker is None:
            self._worker_id = f"{self.name}-{next(self._cloud.numbers)}"
            self._cloud.meter.start(self._worker_id, self._cloud.clock.now())
            archive = self._cloud.archives[self.body["code"]]
            self._worker = Worker(archive, self.body["variables"], Path(self._folder.name))
        return self._worker

    def _work(self) -> None:
        while (call := self._queue.get()) is not None:
            if call.state == "waiting":
                self.busy, call.state = 1, "running"
                self._run(call)
                self.busy, self.idle_since = 0, self._cloud.clock.now()

    def _run(self, call: Call) -> None:
        try:
            call.end("done", self._start().run(call.arguments))
        except (OSError, ValueError) as error:
            call.end("failed", reason=f"the worker died: {type(error).__name__}")


class AcmeEmulator:
    """All of Acme."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.meter = Meter()
        self.faults = Faults()
        self.requests = RequestLog()
        self.archives: dict[str, bytes] = {}
        self.apps: dict[str, App] = {}
        self.calls: dict[str, Call] = {}
        self.numbers: Iterator[int] = itertools.count(1)
        self.lock = threading.RLock()
        self._server: ThreadingHTTPServer | None = None
        self.clock.on_advance(self._tick)

    def start(self) -> dict[str, str]:
        """Listen on loopback."""
        if self._server is None:
            self._server = _Server(("127.0.0.1", 0), _Handler)
            self._server.acme = self  # type: ignore[attr-defined]
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return {"api_url": f"http://127.0.0.1:{self._server.server_address[1]}"}

    def stop(self) -> None:
        """Stop everything."""
        server, self._server = self._server, None
        for app in self.apps.values():
            app.delete()
        if server is not None:
            server.shutdown()
            server.server_close()

    def fail(self, fault: Fault | FaultKind, on: str = "submit", times: int = 1) -> None:
        """Script a fault."""
        self.faults.fail(fault, on, times)

    @property
    def billed_seconds(self) -> BilledSeconds:
        """The bill."""
        return self.meter.billed_seconds(self.clock.now())

    def orphans(self) -> list[str]:
        """Workers without an app."""
        return [each for each in self.meter.running() if each.rpartition("-")[0] not in self.apps]

    def _tick(self) -> None:
        for app in list(self.apps.values()):
            app.tick()

    # The API, one method each

    def upload(self, digest: str, body: bytes) -> dict[str, Any]:
        """``PUT /code/{digest}``."""
        self.archives[digest] = body
        return {"digest": digest}

    def deploy(self, name: str, body: bytes) -> dict[str, Any]:
        """``PUT /apps/{name}``."""
        app = self.apps.setdefault(name, App(name, self))
        app.update(json.loads(body))
        return app.shown()

    def find(self, name: str, _body: bytes) -> dict[str, Any]:
        """``GET /apps/{name}``."""
        return self.app(name).shown()

    def delete(self, name: str, _body: bytes) -> dict[str, Any]:
        """``DELETE /apps/{name}``."""
        self.app(name).delete()
        return self.apps.pop(name).shown()

    def submit(self, name: str, body: bytes) -> dict[str, Any]:
        """``POST /apps/{name}/calls``."""
        app = self.app(name)
        call = Call(f"c{next(self.numbers)}", body)
        self.calls[call.id] = call
        app.submit(call)
        return call.shown()

    def poll(self, call_id: str, _body: bytes, wait: float = 0.0) -> dict[str, Any]:
        """``GET /calls/{id}?wait=``."""
        if call_id not in self.calls:
            raise Refused(404, f"no call {call_id}")
        self.calls[call_id].event.wait(min(wait, 0.05))
        return self.calls[call_id].shown()

    def cancel(self, call_id: str, body: bytes) -> dict[str, Any]:
        """``POST /calls/{id}/stop``."""
        self.poll(call_id, body)
        if self.calls[call_id].state == "waiting":
            self.calls[call_id].end("stopped")
        return self.calls[call_id].shown()

    def app(self, name: str) -> App:
        """Give an app."""
        if name not in self.apps:
            raise Refused(404, f"no app {name}")
        return self.apps[name]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        acme: AcmeEmulator = self.server.acme  # type: ignore[attr-defined]
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = address.path.strip("/").split("/")
        operation = self._operation(parts)
        acme.requests.add(
            RecordedRequest(
                operation,
                self.command,
                self.path,
                masked_headers(dict(self.headers)),
                size=len(body),
            )
        )
        if not self.headers.get("Authorization", "").startswith("Bearer "):
            self._send(401, {"message": "no credential"})
            return
        fault = acme.faults.take(operation)
        if fault is not None and fault.kind in STATUS:
            self._send(fault.status or STATUS[fault.kind], {"message": fault.message or fault.kind})
            return
        try:
            wait = {"wait": float(parse_qs(address.query).get("wait", ["0"])[0])}
            named = wait if operation == "poll" else {}
            answer = getattr(acme, operation)(parts[1], body, **named)
        except Refused as refused:
            self._send(refused.status, {"message": str(refused)})
            return
        if fault is not None and fault.kind == "lost_response":
            self.close_connection = True
            return
        self._send(200, None if fault is not None and fault.kind == "malformed" else answer)

    do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's names

    def _operation(self, parts: list[str]) -> str:
        kinds = {
            ("PUT", "code"): "upload",
            ("PUT", "apps"): "deploy",
            ("GET", "apps"): "find",
            ("DELETE", "apps"): "delete",
            ("POST", "apps"): "submit",
            ("GET", "calls"): "poll",
            ("POST", "calls"): "cancel",
        }
        return kinds[self.command, parts[0]]

    def _send(self, status: int, answer: dict[str, Any] | None) -> None:
        content = b"<html>" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def contract_emulator() -> AcmeEmulator:
    """Give what the contract suite runs against."""
    return AcmeEmulator()
