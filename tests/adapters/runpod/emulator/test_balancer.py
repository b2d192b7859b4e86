"""Load-balancing endpoints: anybody's requests, passed on to workers that serve HTTP."""

from __future__ import annotations

import textwrap
from typing import Any

import httpx
import pytest

from gpuhub_runpod.container import BOOT_ARGS
from tests.adapters.runpod.emulator.conftest import Endpoint

SERVER = textwrap.dedent(
    """
    import http.server, os, threading

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer(f"{self.command} {self.path} {body.decode()}".encode())

        do_GET = do_POST

        def answer(self, content):
            self.send_response(201)
            self.send_header("X-From", "worker")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    class Health(Handler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def serve(variable, handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ[variable])), handler)
        server.serve_forever()

    threading.Thread(target=serve, args=("PORT_HEALTH", Health), daemon=True).start()
    serve("PORT", Handler)
    """
)


@pytest.fixture
def endpoint(account):
    """One with a small web server."""
    fields = {
        "name": "web",
        "type": "LOAD_BALANCER",
        "image": "python:3.11-slim",
        "args": BOOT_ARGS,
        "env": {"GPUHUB_BOOT": SERVER, "PORT": "8000", "PORT_HEALTH": "8001"},
        "cpu": [{"id": "cpu3c", "vcpuCount": 2}],
        "ports": ["8000/http", "8001/http"],
        "scaling": {"type": "REQUEST_COUNT", "requestCount": 4},
        "workers": {"idleTimeout": 30},
    }
    return Endpoint(account, account.created(**fields))


ASKED: dict[str, Any] = {
    "headers": {"Authorization": "Bearer made-up"},
    "timeout": 30,
    "trust_env": False,
}


def test_who_asks_needs_a_key(account, endpoint):
    """401 without one, and no worker is started."""
    base = endpoint.made["requestUrls"]["base"]
    assert httpx.get(base, timeout=30, trust_env=False).status_code == 401
    assert endpoint.workers() == []


def test_a_request_wakes_a_worker_and_is_passed_on(account, clock, endpoint):
    """Method, path, query and body; status, headers and body of the answer."""
    base = endpoint.made["requestUrls"]["base"]
    answer = httpx.post(f"{base}/some/path?a=1", content=b"hello", **ASKED)
    assert answer.status_code == 201
    assert answer.text == "POST /some/path?a=1 hello"
    assert answer.headers["x-from"] == "worker"
    (worker,) = endpoint.workers()
    assert answer.headers["X-Runpod-Worker-Id"] == worker["id"]
    assert worker["status"] == "IDLE"
    clock.advance(60)
    assert endpoint.workers() == []


def test_without_a_worker_there_is_no_answer(account, endpoint):
    """502 after two minutes."""
    endpoint.patch(workers={"max": 0})
    answer = httpx.get(endpoint.made["requestUrls"]["base"], **ASKED)
    assert answer.status_code == 502


def test_it_takes_no_jobs(account, endpoint):
    """400 on the data plane."""
    answer = endpoint.send("POST", "run", json={"input": {"x": 1}})
    assert answer.status_code == 400


def test_a_queue_endpoint_balances_nothing(account):
    """404."""
    endpoint = account.endpoint()
    answer = httpx.get(f"{account.emulator.url}/lb/{endpoint.id}/", **ASKED)
    assert answer.status_code == 404
