"""Acme on loopback: installed beside the adapter of docs/writing-an-adapter.md by the test.

Functions run for real, each app in a worker process of its own; Acme's time is a virtual clock.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gpuhub_acme.machines import Call, Worker  # type: ignore[import-not-found]

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

STATUS: dict[Any, int] = {
    "rate_limit": 429,
    "capacity": 503,
    "unauthorized": 401,
    "server_error": 500,
}
OPERATIONS: dict[tuple[str, ...], str] = {
    ("PUT", "code"): "upload",
    ("PUT", "apps"): "deploy",
    ("GET", "apps"): "find",
    ("GET", "apps", "status"): "status",
    ("DELETE", "apps"): "delete",
    ("POST", "apps", "calls"): "submit",
    ("GET", "calls"): "poll",
    ("POST", "calls", "stop"): "cancel",
}


class Refused(Exception):  # noqa: N818 - it is an answer
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class App:
    """One deployment: its revisions, its queue and its workers."""

    def __init__(self, name: str, cloud: AcmeEmulator) -> None:
        self.name = name
        self.body: dict[str, Any] = {}
        self.revision = 0
        self.is_broken = False
        self.workers: list[Worker] = []
        self.waiting: list[Call] = []
        self._cloud = cloud
        self._folder = tempfile.TemporaryDirectory(prefix="acme-")

    def update(self, body: dict[str, Any]) -> None:
        """Take a new revision; its workers replace the old ones."""
        self.is_broken = False
        if body != self.body:
            self.body, self.revision = body, self.revision + 1
            self.end_workers()
            (self.folder / "bundle.zip").write_bytes(self._cloud.archives[body["code"]])
            for _ in range(body["min_workers"]):
                self._start_worker()

    @property
    def folder(self) -> Path:
        """Where its code is."""
        return Path(self._folder.name)

    def shown(self) -> dict[str, Any]:
        """Give Acme's description."""
        now = self._cloud.clock.now()
        kinds = Counter(
            "running" if each.call else "starting" if each.ready_at > now else "idle"
            for each in self.workers
        )
        return {
            "name": self.name,
            "revision": f"r{self.revision}",
            "state": "broken" if self.is_broken else "live",
            "workers": kinds,
            "waiting": len(self.waiting),
            "log": ["building", "the build died"] if self.is_broken else [],
        }

    def tick(self) -> None:
        """Let happen what the clock says is due."""
        now = self._cloud.clock.now()
        for worker in list(self.workers):
            call = worker.call
            if call is not None and now - call.started_at > self.body["limit_seconds"]:
                self.end_call(call, "too-slow")
            is_idle = now - worker.idle_since >= self.body["idle_seconds"]
            spare = len(self.workers) > self.body["min_workers"]
            if worker.call is None and worker.ready_at <= now and is_idle and spare:
                self._end_worker(worker)
        self._dispatch()

    def submit(self, call: Call) -> None:
        """Queue a call, and start a worker for it where there may be one more."""
        self.waiting.append(call)
        free = [each for each in self.workers if each.call is None]
        if len(free) < len(self.waiting) and len(self.workers) < self.body["max_workers"]:
            self._start_worker()
        self._dispatch()

    def end_call(self, call: Call, state: str) -> None:
        """End a call and the worker that runs it."""
        if call in self.waiting:
            self.waiting.remove(call)
        call.end(state)
        for worker in [each for each in self.workers if each.call is call]:
            self._end_worker(worker)

    def end_workers(self) -> None:
        """Stop all workers, whatever they do."""
        for worker in list(self.workers):
            self._end_worker(worker)

    def delete(self) -> None:
        """Stop everything."""
        self.end_workers()
        self._folder.cleanup()

    def _start_worker(self) -> None:
        fault = self._cloud.faults.take("start")
        now = self._cloud.clock.now()
        cold_start = fault.delay_s if fault is not None else 0.0
        worker = Worker(f"{self.name}-{next(self._cloud.numbers)}", now + cold_start)
        self.workers.append(worker)
        self._cloud.meter.start(worker.name, now)

    def _end_worker(self, worker: Worker) -> None:
        self.workers.remove(worker)
        self._cloud.meter.stop(worker.name, self._cloud.clock.now())
        worker.kill()

    def _dispatch(self) -> None:
        now = self._cloud.clock.now()
        for worker in self.workers:
            if self.waiting and worker.call is None and worker.ready_at <= now:
                call = worker.call = self.waiting.pop(0)
                call.state, call.started_at = "running", now
                threading.Thread(target=self._run, args=(worker, call), daemon=True).start()

    def _run(self, worker: Worker, call: Call) -> None:
        if call.fault == "timeout":
            return  # until the clock ends it
        ended = ("failed", None, "the worker died")
        if call.fault != "crash":
            ended = worker.run(call, self.folder, self.body["variables"])
        with self._cloud.lock:
            worker.call, worker.idle_since = None, self._cloud.clock.now()
            call.end(*ended)
            if self.waiting and worker in self.workers:
                self._dispatch()


class AcmeEmulator:
    """All of Acme."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.meter = Meter()
        self.faults = Faults()
        self.requests = RequestLog()
        self.archives: dict[str, bytes] = {}
        self.apps: dict[str, App] = {}
        self.calls: dict[str, tuple[App, Call]] = {}
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
        if server is not None:
            server.shutdown()
            server.server_close()
        with self.lock:
            for app in self.apps.values():
                app.delete()
            self.apps.clear()

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
        with self.lock:
            for app in self.apps.values():
                if app.body:
                    app.tick()

    # The API, one method each

    def upload(self, digest: str, body: bytes, _fault: FaultKind | None) -> dict[str, Any]:
        """``PUT /code/{digest}``."""
        self.archives[digest] = body
        return {"digest": digest}

    def deploy(self, name: str, body: bytes, fault: FaultKind | None) -> dict[str, Any]:
        """``PUT /apps/{name}``."""
        app = self.apps.get(name) or App(name, self)
        self.apps[name] = app
        if fault == "crash":
            app.is_broken = True
        else:
            app.update(json.loads(body))
        return app.shown()

    def find(self, name: str, _body: bytes, _fault: FaultKind | None) -> dict[str, Any]:
        """``GET /apps/{name}`` and ``GET /apps/{name}/status``."""
        if name not in self.apps:
            raise Refused(404, f"no app {name}")
        return self.apps[name].shown()

    status = find

    def delete(self, name: str, body: bytes, fault: FaultKind | None) -> dict[str, Any]:
        """``DELETE /apps/{name}``."""
        shown: dict[str, Any] = self.find(name, body, fault)
        self.apps.pop(name).delete()
        return shown

    def submit(self, name: str, body: bytes, fault: FaultKind | None) -> dict[str, Any]:
        """``POST /apps/{name}/calls``."""
        self.find(name, body, fault)
        call = Call(f"c{next(self.numbers)}", body, fault)
        self.calls[call.id] = (self.apps[name], call)
        self.apps[name].submit(call)
        return self.poll(call.id, body, fault)

    def poll(self, call_id: str, _body: bytes, _fault: FaultKind | None) -> dict[str, Any]:
        """``GET /calls/{id}?wait=``."""
        if call_id not in self.calls:
            raise Refused(404, f"no call {call_id}")
        found: Call = self.calls[call_id][1]
        shown: dict[str, Any] = found.shown()
        return shown

    def cancel(self, call_id: str, body: bytes, fault: FaultKind | None) -> dict[str, Any]:
        """``POST /calls/{id}/stop``."""
        self.poll(call_id, body, fault)
        app, call = self.calls[call_id]
        app.end_call(call, "stopped")
        return self.poll(call_id, body, fault)

    def wait(self, call_id: str, seconds: float) -> None:
        """Hold a poll back: for a moment of real time, or as long as a stuck call is stuck."""
        if call_id not in self.calls:
            return
        app, call = self.calls[call_id]
        if call.event.wait(0.05 if seconds else 0) or not seconds:
            return
        starting = [each.ready_at for each in app.workers if each.ready_at > self.clock.now()]
        if call.fault == "timeout" or (call.state == "waiting" and starting):
            self.clock.advance(seconds)


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
        operation = OPERATIONS[self.command, parts[0], *parts[2:]]
        headers = masked_headers(dict(self.headers))
        acme.requests.add(
            RecordedRequest(operation, self.command, self.path, headers, size=len(body))
        )
        fault = acme.faults.take(operation)
        kind = fault.kind if fault is not None else None
        if not self.headers.get("Authorization", "").startswith("Bearer "):
            self._send(401, {"message": "no credential"})
        elif fault is not None and kind in STATUS:
            self._send(STATUS[kind], {"message": kind, "code": kind}, fault.delay_s)
        else:
            self._perform(acme, operation, parts[1], body, kind, parse_qs(address.query))

    do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's names

    def _perform(
        self,
        acme: AcmeEmulator,
        operation: str,
        name: str,
        body: bytes,
        fault: FaultKind | None,
        query: dict[str, list[str]],
    ) -> None:
        if operation == "poll":
            acme.wait(name, float(query["wait"][0]))
        try:
            with acme.lock:
                answer = getattr(acme, operation)(name, body, fault)
        except Refused as refused:
            self._send(refused.status, {"message": str(refused)})
            return
        if fault in ("lost_response", "malformed") and operation == "submit":
            acme.calls[answer["id"]][1].event.wait(30)  # what was accepted runs all the same
        if fault == "lost_response":
            self.close_connection = True
            return
        self._send(200, None if fault == "malformed" else answer)

    def _send(self, status: int, answer: dict[str, Any] | None, wait: float = 0.0) -> None:
        content = b"<html>" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if wait:
            self.send_header("Retry-After", f"{wait:g}")
        self.end_headers()
        self.wfile.write(content)


def contract_emulator() -> AcmeEmulator:
    """Give what the contract suite runs against."""
    return AcmeEmulator()
