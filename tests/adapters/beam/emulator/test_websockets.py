"""Websockets of ASGI deployments: what the gateway lets through, and what it does not."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from websockets.asyncio import client as asynchronous
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.connection import Connection

from gpuhub.testing.emulator import Fault
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_beam.emulator import BeamEmulator, EmulatorOptions
from tests.adapters.beam.emulator.conftest import OPEN, Background, Cluster, archive, scaler
from tests.adapters.beam.emulator.websocket_app import CODE
from tests.adapters.waiting import until

TOKEN = {"Authorization": "Bearer made-up"}


class Site:
    """The application on one emulator."""

    def __init__(self, cluster: Cluster, **fields: Any) -> None:
        self.cluster = cluster
        fields.setdefault("objectId", cluster.upload(archive(**{"handlers.py": CODE})))
        fields.setdefault("concurrentRequests", 10)
        self.deployment = cluster.deploy("app", "asgi", **fields)
        self.url = f"{cluster.emulator.url}{self.deployment.path}".replace("http", "ws", 1)

    def open(self, path: str = "", headers: Any = TOKEN, **options: Any) -> ClientConnection:
        """Open a websocket below the deployment's URL."""
        url = self.url + path
        return connect(url, additional_headers=headers, **OPEN, close_timeout=2, **options)

    def task(self) -> dict[str, Any]:
        """The newest task."""
        answer = self.cluster.http.get(f"/api/v1/task/{self.cluster.workspace}")
        return dict(answer.json()["data"][0])


@pytest.fixture
def site(cluster):
    """The application, deployed."""
    return Site(cluster)


def refused(site: Site, path: str = "", headers: Any = TOKEN) -> tuple[int, Any]:
    """Ask for a websocket that is refused; give status and body."""
    with pytest.raises(InvalidStatus) as raised:
        site.open(path, headers)
    return raised.value.response.status_code, json.loads(raised.value.response.body)


def closed(client: Connection) -> tuple[int, str] | None:
    """Wait for the end; give the other side's close, ``None`` where it just broke off."""
    with pytest.raises(ConnectionClosed) as raised:
        client.recv(timeout=30)
    close = raised.value.rcvd
    return None if close is None else (close.code, close.reason)


@pytest.mark.parametrize(
    "message",
    ["text", "", b"bytes \x00\xff", b"", "é" * 300_000],
    ids=["text", "no text", "bytes", "no bytes", "much"],
)
def test_messages_go_both_ways(site, message):
    """Text stays text and bytes stay bytes."""
    with site.open("/echo", max_size=None) as client:
        for _ in range(2):
            client.send(message)
            assert client.recv(timeout=30) == message


def test_json(site):
    """As text."""
    with site.open("/double") as client:
        for number in range(3):
            client.send(json.dumps({"number": number}))
            assert json.loads(client.recv(timeout=30)) == {"twice": 2 * number}


def test_fragments_and_pings(site):
    """A message in pieces arrives whole; a ping is answered."""
    with site.open("/echo") as client:
        client.send(["in ", "two ", "pieces"])
        assert client.recv(timeout=30) == "in two pieces"
        assert client.ping().wait(timeout=30)


def test_a_message_larger_than_the_runner_takes(site):
    """16 MiB, uvicorn's limit: it closes with 1009. The gateway has none."""
    with site.open("/echo", max_size=None) as client:
        client.send(bytes(16 * 1024 * 1024 + 1))
        close = closed(client)
        assert close is not None
        assert close[0] == 1009


def test_from_asyncio(site):
    """The same from a loop, several at once in one container."""

    async def ask(number: int) -> str:
        url = f"{site.url}/double"
        async with asynchronous.connect(url, additional_headers=TOKEN, **OPEN) as client:
            await client.send(json.dumps({"number": number}))
            return str(json.loads(await client.recv())["twice"])

    async def ask_all() -> list[str]:
        return await asyncio.gather(*(ask(number) for number in range(5)))

    assert asyncio.run(ask_all()) == ["0", "2", "4", "6", "8"]
    assert len(site.cluster.containers()) == 1


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_the_application_closes(site, code):
    """Its code and reason reach the client, and the task is complete."""
    with site.open(f"/close?code={code}") as client:
        assert client.recv(timeout=30) == "goodbye"
        assert closed(client) == (code, "enough")
    until(lambda: site.task()["status"] == "COMPLETE")
    assert site.deployment.instance.tasks == {}


@pytest.mark.parametrize("code", [1000, 1001, 4002])
def test_the_client_closes(site, tmp_path, code):
    """Its code and reason reach the application."""
    log = tmp_path / "log"
    with site.open(f"/echo?log={log}") as client:
        client.close(code, "tired")
    until(lambda: log.exists() and log.read_text())
    assert log.read_text() == f"{code} tired"
    until(lambda: site.task()["status"] == "COMPLETE")


def test_a_client_that_is_gone(site, tmp_path):
    """Without a close: the application sees 1005, as of one without a code."""
    log = tmp_path / "log"
    with site.open(f"/echo?log={log}") as client:
        client.socket.shutdown(socket.SHUT_RDWR)
        until(lambda: log.exists() and log.read_text())
    assert log.read_text().startswith("1005")


def test_an_application_that_raises(site):
    """The connection ends, and the task has failed; the container goes on."""
    with site.open("/fail") as client:
        client.send("now")
        assert closed(client) is None
    until(lambda: site.task()["status"] == "ERROR")
    until(lambda: any("out of luck" in line for line in site.cluster.logs()))
    assert site.deployment.send("GET", "/hello").text == "hello"


@pytest.mark.parametrize("path", ["/refuse", "/nowhere"])
def test_what_the_application_refuses(site, path):
    """The gateway has accepted already: the client sees a connection that ends, not a 403."""
    with site.open(path) as client:
        assert closed(client) is None
    assert site.deployment.instance.containers


def test_what_reaches_the_application(site):
    """The path and the query, and no header of the client's: also no subprotocol is agreed on."""
    headers = {**TOKEN, "Cookie": "a=b", "X-Own": "c"}
    with site.open("/told?x=1&y=é", headers, subprotocols=["chat"]) as client:
        assert client.subprotocol is None
        client.send("go")
        told = json.loads(client.recv(timeout=30))
    assert (told["path"], told["query"]) == ("/told", {"x": "1", "y": "é"})
    assert told["subprotocols"] == []
    assert "x-task-id" in told["headers"]
    assert not {"authorization", "cookie", "x-own", "origin"} & set(told["headers"])


def test_the_token(site):
    """In a header or in the query, as browsers need it; else 401 before the handshake."""
    assert refused(site, "/echo", {}) == (401, {"message": "Unauthorized"})
    with site.open("/echo?auth_token=made-up", {}) as client:
        client.send("let in")
        assert client.recv(timeout=30) == "let in"


@pytest.mark.parametrize("options", [EmulatorOptions(tokens=frozenset({"made-up"}))])
def test_a_wrong_token(site):
    """Is refused, in both places."""
    wrong = {"Authorization": "Bearer other"}
    assert refused(site, "/echo", wrong) == (401, {"message": "Invalid token"})
    assert refused(site, "/echo?auth_token=other", {}) == (401, {"message": "Invalid token"})


def test_a_public_deployment(cluster):
    """Needs none, at the URL of its stub."""
    site = Site(cluster, authorized=False)
    site.url = str(site.deployment.made["invokeUrl"]).replace("http", "ws", 1)
    with site.open("/echo", {}) as client:
        client.send("hi")
        assert client.recv(timeout=30) == "hi"


def test_what_is_not_deployed(site):
    """400 as of any request; what takes no websocket is 404 or 405."""
    for path in ("/asgi/nobody/v1", "/asgi/app/v9", "/taskqueue/app/v1"):
        site.url = f"{site.cluster.emulator.url}{path}".replace("http", "ws", 1)
        status, body = refused(site)
        assert (status, body["message"]) in [
            (400, "Invalid deployment"),
            (405, "Method Not Allowed"),
        ]
    site.url = f"{site.cluster.emulator.url}/nothing".replace("http", "ws", 1)
    assert refused(site) == (404, {"message": "Not Found"})
    site.url = f"{site.cluster.emulator.url}/api/v1/workspace/current".replace("http", "ws", 1)
    assert refused(site)[0] == 200  # answered like any other request


def test_a_stopped_version(site):
    """Is refused, where the gateway does not remember it."""
    site.deployment.change("stop")
    assert refused(site, "/echo") == (400, {"message": "Deployment is not active"})


def test_a_version_that_is_stopped(site):
    """Takes its containers with it: what was open is cut."""
    with site.open("/echo") as client:
        client.send("there")
        assert client.recv(timeout=30) == "there"
        site.deployment.change("stop")
        assert closed(client) is None
    assert site.cluster.containers() == []


def test_a_cold_start_is_waited_for(site, clock):
    """The handshake ends when a container has it; time passes meanwhile."""
    before = clock.now()
    with site.open("/echo") as client:
        assert clock.now() - before >= site.cluster.emulator.options.cold_start_s
        client.send("warm")
        assert client.recv(timeout=30) == "warm"


def test_no_container_within_the_gateways_patience(site, clock):
    """504 after a quarter of an hour."""
    site.cluster.emulator.fail("capacity", on="start")
    before = clock.now()
    assert refused(site) == (504, {"error": "Timed out waiting for a backend container"})
    assert clock.now() - before == pytest.approx(930, abs=1)


def test_a_client_that_leaves_before_a_container():
    """Its task is cancelled; time has to be real for a client to lose it."""
    with BeamEmulator(EmulatorOptions(cold_start_s=600), SystemClock()) as emulator:
        site = Site(Cluster(emulator))
        key = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        upgrade = ("Connection: Upgrade", "Upgrade: websocket", *key)
        site.deployment.leave(f"GET {site.deployment.path}/echo HTTP/1.1", *upgrade)
        assert site.task()["status"] == "CANCELLED"
        site.cluster.http.close()


@pytest.mark.parametrize("options", [EmulatorOptions(gpus=frozenset({"A10G"}))])
def test_a_gpu_that_no_pool_has(cluster):
    """503, as of any request."""
    status, body = refused(Site(cluster, gpu="H100", gpuCount=1))
    assert status == 503
    assert "No compute capacity" in body["error"]


def test_an_open_websocket_is_work(site, clock):
    """It counts as a request in flight, whatever the timeout: its container stays and is billed."""
    site.deployment.change("stop")
    site = Site(site.cluster, name="brief", taskPolicy={"timeout": 1}, keepWarmSeconds=10)
    with site.open("/echo") as client:
        client.send("before")
        assert client.recv(timeout=30) == "before"
        clock.advance(7200)
        assert site.cluster.states() == ["RUNNING"]
        assert site.task()["status"] == "RUNNING"
        client.send("after")
        assert client.recv(timeout=30) == "after"
    until(lambda: site.deployment.instance.tasks == {})
    assert site.cluster.emulator.billed_seconds.total >= 7200
    clock.advance(11)
    assert site.cluster.containers() == []


def test_one_at_a_time_without_concurrency(cluster):
    """An open websocket holds a slot: what else comes goes to another container, or waits."""
    site = Site(cluster, concurrentRequests=1, autoscaler=scaler(most=2), keepWarmSeconds=10)
    with site.open("/echo"):
        assert site.deployment.send("GET", "/hello").text == "hello"
        assert len(cluster.containers()) == 2
        with site.open("/echo"):
            waiting = Background(lambda: site.deployment.send("GET", "/hello").text)
            until(lambda: len(site.deployment.instance.queue) == 1)
        assert waiting.result() == "hello"


def test_too_many_at_once(cluster):
    """429 when as many are in flight as may be pending: open ones count."""
    site = Site(cluster, maxPendingTasks=1)
    with site.open("/echo"):
        assert refused(site) == (429, {"error": "exceeded max pending tasks: 1"})


@pytest.mark.parametrize(
    ("fault", "status"),
    [("unauthorized", 401), ("rate_limit", 429), ("capacity", 503), ("server_error", 500)],
)
def test_scripted_refusals(site, fault, status):
    """Before the handshake, with no effect."""
    site.cluster.emulator.fail(fault, on="websocket")
    assert refused(site, "/echo")[0] == status
    assert site.cluster.containers() == []


def test_an_answer_that_is_none(site):
    """A proxy's page instead of a handshake."""
    site.cluster.emulator.fail("malformed", on="websocket")
    with pytest.raises((InvalidStatus, InvalidMessage)):
        site.open("/echo")


@pytest.mark.parametrize("fault", ["lost_response", "crash"])
def test_a_websocket_that_is_dropped(site, fault):
    """Right after the handshake."""
    site.cluster.emulator.fail(fault, on="websocket")
    with site.open("/echo") as client:
        assert closed(client) is None


def test_a_websocket_that_is_dropped_halfway(site):
    """After the first message of the application's; the next one lives."""
    site.cluster.emulator.fail(Fault("lost_response", code="halfway"), on="websocket")
    with site.open("/echo") as client:
        client.send("first")
        assert client.recv(timeout=30) == "first"
        assert closed(client) is None
    with site.open("/echo") as client:
        client.send("second")
        assert client.recv(timeout=30) == "second"


def test_a_container_that_hangs(site):
    """Says nothing until the client has enough."""
    site.cluster.emulator.fail("timeout", on="websocket")
    with site.open("/echo") as client:
        client.send("hello?")
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.1)
    until(lambda: not any(each.tasks for each in site.deployment.instance.containers.values()))


def test_a_container_that_dies(site):
    """Its websockets break off."""
    with site.open("/echo") as client:
        client.send("there")
        assert client.recv(timeout=30) == "there"
        (container,) = site.cluster.containers()
        site.cluster.emulator.kill_container(container["container_id"])
        assert closed(client) is None


def test_what_is_recorded(site):
    """One request for each, as ``websocket``; the token is masked."""
    with site.open("/echo?x=1"):
        pass
    (request,) = site.cluster.emulator.requests.of("websocket")
    assert (request.method, request.path) == ("GET", f"{site.deployment.path}/echo?x=1")
    assert request.headers["authorization"] == "Bearer ****"
    assert request.headers["upgrade"] == "websocket"


@pytest.mark.filterwarnings("error")
def test_the_emulators_end_cuts_websockets(tmp_path):
    """At once, and nothing is left open."""
    emulator = BeamEmulator(EmulatorOptions())
    site = Site(Cluster(emulator))
    with ExitStack() as stack:
        clients = [stack.enter_context(site.open("/echo")) for _ in range(3)]
        for client in clients:
            client.send("there")
            assert client.recv(timeout=30) == "there"
        thread = emulator._server._thread
        assert thread is not None
        emulator.stop()
        assert not thread.is_alive()  # it was not given up either
        for client in clients:
            closed(client)
    site.cluster.http.close()
    with pytest.raises((OSError, httpx.HTTPError)):
        httpx.get(f"{site.url.replace('ws', 'http', 1)}/hello", trust_env=False, timeout=30)
    gc.collect()  # an open socket warns now
