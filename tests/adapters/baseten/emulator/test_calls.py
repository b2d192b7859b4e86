"""Synchronous requests: targets, parking, scaling, streams, and what a server answers."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from gpuhub_baseten.emulator import EmulatorOptions
from tests.adapters.waiting import until

STREAM = """
class Model:
    def predict(self, inputs):
        for number in range(inputs["count"]):
            yield f"{number}\\n"
"""
GATE = """
import os, time
from pathlib import Path
class Model:
    def predict(self, inputs):
        with open(inputs["log"], "ab", buffering=0) as log:
            log.write(b"%d\\n" % os.getpid())
        while not Path(inputs["gate"]).exists():
            time.sleep(0.005)
        return os.getpid()
"""
MANY = """
from starlette.requests import Request
from starlette.responses import Response
class Refused(Exception):
    status_code, detail = 418, "a teapot"
class Model:
    def preprocess(self, inputs):
        return {**inputs, "pre": True}
    def predict(self, inputs, request: Request):
        kind = inputs["kind"]
        if kind == "raise":
            raise ValueError("the reason")
        if kind == "refuse":
            raise Refused()
        if kind == "response":
            return Response(b"raw", status_code=inputs["status"], media_type="text/plain")
        if kind == "bytes":
            return b"no JSON"
        return [inputs, request.headers["x-baseten-request-id"]]
"""


def test_all_targets(account):
    """Production, an environment by name, a deployment by id."""
    made = account.model()
    for target in ("production", "environments/production", f"deployment/{made.id}"):
        answer = made.call({"a": [1, None]}, target=target)
        assert (answer.status_code, answer.json()) == (200, {"a": [1, None]})
        assert answer.headers["x-baseten-request-id"]
    for target in ("development", "environments/none", "deployment/none"):
        answer = made.call({}, target=target)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "model_does_not_exist")
    nowhere = account.urls["model_url"].format(model_id="none")
    assert account.http.post(f"{nowhere}/production/predict", json={}).status_code == 404


def test_a_call_too_early(account):
    """A deployment that is being built does not answer; an environment without any is unknown."""
    made = account.push()
    assert made.call({}).status_code == 404
    answer = made.call({}, target=f"deployment/{made.id}")
    assert (answer.status_code, answer.json()["error_code"]) == (503, "model_not_ready")


def test_what_a_server_answers(account):
    """Status, body and the header that tells the server's errors from the platform's."""
    made = account.model(MANY)
    value, request_id = made.call({"kind": "value"}).json()
    assert value == {"kind": "value", "pre": True}
    assert len(request_id) == 32
    raised = made.call({"kind": "raise"})
    assert raised.status_code == 500
    assert raised.json() == {"error": "Internal Server Error (in model/chainlet)."}
    assert raised.headers["x-baseten-error-source"] == "04"
    assert raised.headers["x-baseten-error-code"] == "600"
    assert any("the reason" in line for line in made.lines())
    refused = made.call({"kind": "refuse"})
    assert (refused.status_code, refused.json()) == (418, {"error": "a teapot"})
    response = made.call({"kind": "response", "status": 302})
    assert (response.status_code, response.text) == (302, "raw")
    assert response.headers["x-baseten-error-code"] == "700"
    assert made.call({"kind": "bytes"}).headers["x-baseten-error-code"] == "500"
    bad = made.call(content=b"{no")
    assert (bad.status_code, bad.headers["x-baseten-error-code"]) == (400, "700")
    assert "x-baseten-error-source" not in account.http.get(made.base + "/none").headers


def test_further_routes_of_the_server(account):
    """``sync/…`` goes to the server's own route; what the model has not is 404."""
    code = """
    class Model:
        def predict(self, inputs): return 1
        async def chat_completions(self, inputs): return {"chat": inputs}
    """
    made = account.model(code)
    place = f"{made.base}/production/sync/v1"
    answer = account.http.post(f"{place}/chat/completions", json={"a": 1})
    assert answer.json() == {"chat": {"a": 1}}
    assert account.http.post(f"{place}/embeddings", json={}).status_code == 404
    assert account.http.get(f"{place}/models/model").json() == {}


@pytest.mark.parametrize("options", [EmulatorOptions(cold_start_s=45)])  # a real one is shorter
def test_a_call_wakes_a_deployment_at_zero(account, clock):
    """It is parked, not refused; idle replicas stop after the delay."""
    made = account.model()
    clock.advance(59)
    assert made.status() == "ACTIVE"
    clock.advance(1)
    assert (made.status(), made.shown()["active_replica_count"]) == ("SCALED_TO_ZERO", 0)
    before = clock.now()
    assert made.call("cold").json() == "cold"
    assert clock.now() - before == pytest.approx(45, abs=0.1)
    billed = account.emulator.billed_seconds
    assert len(billed) == 2
    assert billed.total == pytest.approx(105 + 45, abs=0.5)


def test_waking_without_a_call(account, clock):
    """``wake`` answers at once; the replica comes up."""
    made = account.model()
    clock.advance(100)
    answer = account.http.post(f"{made.base}/production/wake")
    assert answer.status_code == 202
    assert made.status() == "WAKING_UP"
    clock.advance(3)
    assert made.status() == "ACTIVE"


def test_a_parked_call_gives_up(account, clock):
    """After 1200 s without a replica: 504."""
    made = account.model()
    clock.advance(100)
    account.emulator.fail("capacity", on="start")
    before = clock.now()
    answer = made.call({})
    assert (answer.status_code, answer.json()["error_code"]) == (504, "timeout")
    assert clock.now() - before == pytest.approx(1200, abs=1)


def test_a_deployment_that_goes_away_refuses_parked_calls(account, clock):
    """As if it had not been there."""
    made = account.model()
    clock.advance(100)
    account.emulator.fail("capacity", on="start")
    with ThreadPoolExecutor(1) as threads:
        parked = threads.submit(made.call, {})
        until(lambda: made.state.queue or parked.done())
        made.post("deactivate")
        assert parked.result().status_code in (404, 504)


def test_load_starts_more_replicas(account, clock, tmp_path):
    """After the window, up to the maximum; above it calls wait."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    given = {"gate": str(gate), "log": str(log)}
    made = account.model(GATE, limits={"max_replica": 2, "autoscaling_window": 30})
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(made.call, given) for _ in range(4)]
        until(log.exists)
        until(lambda: made.state.in_flight == 4)
        assert len(made.state.replicas) == 1
        clock.advance(31)
        until(lambda: len(made.state.replicas) == 2)
        clock.advance(3)
        until(lambda: len(log.read_text().splitlines()) == 2)
        clock.advance(300)
        assert len(made.state.replicas) == 2
        gate.touch()
        pids = {call.result().json() for call in calls}
    assert len(pids) == 2


@pytest.mark.parametrize(
    ("target", "in_image", "together"),
    [(4, 4, 4), (4, 1, 1), (1, 4, 1)],
    ids=["equal", "image-1", "platform-1"],
)
def test_concurrency_has_two_limits(account, tmp_path, target, in_image, together):
    """What the platform hands out, and what the server runs: the smaller one counts."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    given = {"gate": str(gate), "log": str(log)}
    made = account.model(
        GATE,
        limits={"concurrency_target": target},
        config={"runtime": {"predict_concurrency": in_image}},
    )
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(made.call, given) for _ in range(4)]
        until(lambda: made.state.in_flight == 4)
        until(lambda: log.exists() and len(log.read_text().splitlines()) == together)
        time.sleep(0.05)
        assert len(log.read_text().splitlines()) == together
        gate.touch()
        assert {call.result().status_code for call in calls} == {200}


def test_a_full_deployment_may_refuse(account, tmp_path):
    """With ``REJECT_ON_FULL``: 429."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    made = account.model(GATE, request_backpressure_settings={"policy": "REJECT_ON_FULL"})
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(made.call, {"gate": str(gate), "log": str(log)})
        until(log.exists)
        refused = made.call({})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        gate.touch()
        assert first.result().status_code == 200


def test_a_stream_comes_in_pieces(account):
    """Unless the client asks for JSON and nothing else: then it is one string."""
    made = account.model(STREAM)
    with account.http.stream(
        "POST", f"{made.base}/production/predict", json={"count": 3}
    ) as answer:
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "content-length" not in answer.headers
        assert list(answer.iter_lines()) == ["0", "1", "2"]
    joined = made.call({"count": 3}, headers={"Accept": "application/json"})
    assert joined.json() == "0\n1\n2\n"


def test_a_client_that_leaves_a_stream(account):
    """Frees the replica: the generator runs to its end, and the next call is answered."""
    made = account.model(STREAM)
    with account.http.stream(
        "POST", f"{made.base}/production/predict", json={"count": 50}
    ) as answer:
        assert next(answer.iter_lines()) == "0"
    assert made.call({"count": 2}).text == "0\n1\n"
    until(lambda: made.state.in_flight == 0)


def test_a_replica_that_dies_in_a_stream(account):
    """Breaks the connection off."""
    made = account.model(STREAM)
    account.emulator.fail("crash", on="stream")
    with (
        pytest.raises(httpx.RemoteProtocolError),
        account.http.stream(
            "POST", f"{made.base}/production/predict", json={"count": 100_000}
        ) as answer,
    ):
        list(answer.iter_lines())
    assert made.call({"count": 1}).text == "0\n"


def test_a_client_that_leaves_a_parked_call(account, clock):
    """Takes it out of the queue."""
    made = account.model()
    clock.advance(100)
    account.emulator.fail("capacity", on="start")
    emulator = account.emulator
    place = httpx.URL(f"{made.base}/production/predict")
    head = "POST %s HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer x\r\nContent-Length: 2\r\n\r\n"
    # On a virtual clock the 1200 s are over at once: hold time still with something at work.
    with emulator._site.timeline.lock:
        emulator._site.began()
    try:
        with socket.create_connection((place.host, place.port or 80)) as client:
            client.sendall((head % place.path + "{}").encode())
            until(lambda: made.state.queue)
        until(lambda: made.state.queue == [])
    finally:
        with emulator._site.timeline.lock:
            emulator._site.ended()


def test_a_killed_replica_fails_its_call_once(account, tmp_path):
    """502, and the next call finds a fresh one."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    given = {"gate": str(gate), "log": str(log)}
    made = account.model(GATE)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(made.call, given)
        until(log.exists)
        account.emulator.kill_replica(next(iter(made.state.replicas)))
        answer = call.result()
        assert (answer.status_code, "x-baseten-error-source" in answer.headers) == (502, False)
    gate.touch()
    assert made.call(given).status_code == 200
    assert any("exited with code 137" in line for line in made.lines())


@pytest.mark.timeout(180)
def test_the_largest_body(account):
    """To the byte; one more is refused at the edge."""
    code = """
    from starlette.requests import Request
    class Model:
        async def predict(self, request: Request):
            return len(await request.body())
    """
    made = account.model(code)
    most = account.emulator.options.predict_bytes
    assert made.call(content=b"x" * most).json() == most
    refused = made.call(content=b"x" * (most + 1))
    assert (refused.status_code, refused.json()["error_code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("options", [EmulatorOptions(request_limit=3)])
def test_a_limit_of_requests(account, clock):
    """429 with the time to wait; after it there is room again."""
    made = account.model()
    statuses = [made.call(1).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    clock.advance(1)
    assert made.call(1).status_code == 200


@pytest.mark.parametrize("options", [EmulatorOptions(development_parks=False)])
def test_a_development_deployment_at_zero(account, clock):
    """May not be found, as users have seen."""
    made = account.model(is_development=True, environment_name=None, autoscaling_settings=None)
    assert made.call(1, target="development").status_code == 200
    clock.advance(1000)
    assert made.call(1, target="development").status_code == 404


@pytest.mark.parametrize("options", [EmulatorOptions(boots_after_push=False)])
def test_a_push_that_boots_nothing(account):
    """If Baseten did not try what was pushed."""
    made = account.push()
    account.emulator.clock.advance(3)
    assert (made.status(), made.state.replicas) == ("SCALED_TO_ZERO", {})
    assert account.emulator.billed_seconds.total == 0
    assert made.call(1).json() == 1


def test_many_calls_at_once(account):
    """Each gets its own answer."""
    made = account.model(
        limits={"concurrency_target": 16}, config={"runtime": {"predict_concurrency": 16}}
    )
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda number: made.call(number).json(), range(100)))
    assert answers == list(range(100))


def test_a_container_with_a_server_of_its_own(account):
    """``docker_server``: its command, its routes."""
    code = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer({"path": self.path, "token": os.environ.get("TRUSS_SECRET_TOKEN")})
    def do_POST(self):
        self.answer([self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()])
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
    server = {
        "start_command": "python3 /packages/server.py 8000",
        "server_port": 8000,
        "predict_endpoint": "/own/predict",
        "readiness_endpoint": "/ready",
        "liveness_endpoint": "/",
    }
    account.http.post("/v1/secrets", json={"name": "TOKEN", "value": "t"})
    made = account.model(
        config={"docker_server": server, "secrets": {"TOKEN": None}},
        files={"packages/server.py": code},
    )
    assert made.call({"a": 1}).json() == ["/own/predict", '{"a":1}']
    answer = account.http.get(f"{made.base}/production/sync/page?x=1")
    assert answer.json() == {"path": "/page?x=1", "token": "t"}


def test_a_played_model(account):
    """A function of the test's stands for what was pushed."""
    account.emulator.play("tested", lambda body: {"twice": 2 * body["number"]})
    assert account.model().call({"number": 4}).json() == {"twice": 8}


def test_answers_are_read_by_anybody(account):
    """The body is the server's own, byte for byte."""
    code = """
    class Model:
        def predict(self, inputs): return {"text": "Grüße \\u2028"}
    """
    answer = account.model(code).call({})
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.content) == {"text": "Grüße \u2028"}


def test_nothing_is_left_behind(account, tmp_path):
    """``stop`` ends all processes, whatever they do."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    made = account.model(GATE)

    def call():
        with pytest.raises(httpx.TransportError):
            made.call({"gate": str(gate), "log": str(log)})

    thread = threading.Thread(target=call)
    thread.start()
    until(lambda: log.exists() and log.read_text().endswith("\n"))
    pid = int(log.read_text())
    account.emulator.stop()
    thread.join(30)
    until(lambda: not _exists(pid))


def _exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
