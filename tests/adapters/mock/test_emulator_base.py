"""The base of all emulators: faults, recording, meter, HTTP."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import get_args

import pytest

from gpuhub.errors import AdapterNotInstalled
from gpuhub.testing.emulator import (
    BilledSeconds,
    Emulator,
    Fault,
    FaultKind,
    Faults,
    HttpEmulator,
    Meter,
    RecordedRequest,
    RequestLog,
    masked_headers,
)


def test_scripted_faults_come_in_order() -> None:
    """Each as often as told, each for its own operation."""
    faults = Faults()
    faults.fail("crash", times=2)
    faults.fail(Fault("rate_limit", delay_s=3))
    faults.fail("capacity", on="deploy")
    taken = [faults.take("submit") for _ in range(4)]
    assert [fault and fault.kind for fault in taken] == ["crash", "crash", "rate_limit", None]
    deploy = faults.take("deploy")
    assert deploy is not None
    assert deploy.kind == "capacity"


def test_faults_by_chance_depend_on_the_seed_alone() -> None:
    """So a failure can be repeated."""

    def pattern(seed: int) -> list[bool]:
        faults = Faults()
        faults.randomly("timeout", probability=0.3, seed=seed)
        return [faults.take("submit") is not None for _ in range(200)]

    assert pattern(1) == pattern(1) != pattern(2)
    assert 30 < sum(pattern(1)) < 90


def test_faults_are_played_once_each() -> None:
    """Also when many threads take them."""
    faults = Faults()
    faults.fail("crash", times=100)
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: faults.take("submit"), range(500)))
    assert sum(fault is not None for fault in taken) == 100


def test_faults_can_be_cleared() -> None:
    """Scripted ones and those by chance."""
    faults = Faults()
    faults.fail("crash")
    faults.randomly("crash", probability=1, seed=0)
    faults.clear()
    assert faults.take("submit") is None


@pytest.mark.parametrize("kind", get_args(FaultKind))
def test_every_kind_can_be_made(kind) -> None:
    """From its name alone."""
    assert Fault(kind).delay_s == 0


def test_wrong_faults_are_refused() -> None:
    """With what would be right."""
    with pytest.raises(ValueError, match="cold_start, capacity"):
        Fault("explosion")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 0"):
        Fault("crash", delay_s=-1)
    with pytest.raises(ValueError, match="within 0 and 1"):
        Faults().randomly("crash", probability=2, seed=1)


def test_credentials_are_masked() -> None:
    """What kind of credential it was stays readable."""
    headers = {
        "Authorization": "Bearer s3cr3t",
        "X-API-Key": "s3cr3t",
        "Cookie": "s3cr3t",
        "Content-Type": "application/json",
        "Idempotency-Key": "abc",
    }
    assert masked_headers(headers) == {
        "authorization": "Bearer ****",
        "x-api-key": "****",
        "cookie": "****",
        "content-type": "application/json",
        "idempotency-key": "abc",
    }
    assert masked_headers({"authorization": "s3cr3t"}) == {"authorization": "****"}


def test_the_request_log_is_bounded() -> None:
    """It counts all, keeps the last, and can be looked through."""
    log = RequestLog(limit=3)
    for number in range(5):
        log.add(RecordedRequest("submit" if number % 2 else "poll", "POST", f"/{number}"))
    assert [request.path for request in log] == ["/2", "/3", "/4"]
    assert (len(log), log.total) == (3, 5)
    assert [request.path for request in log.of("submit")] == ["/3"]
    log.clear()
    assert (len(log), log.total) == (0, 0)


def test_the_meter() -> None:
    """Running workers are billed until now, stopped ones until their stop, once."""
    meter = Meter()
    meter.start("a", 0.0)
    meter.start("b", 5.0)
    meter.stop("a", 10.0)
    meter.stop("a", 99.0)
    bill = meter.billed_seconds(20.0)
    assert bill == {"a": 10.0, "b": 15.0}
    assert (bill.total, meter.running()) == (25.0, ("b",))
    assert BilledSeconds().total == 0


def test_the_mock_is_an_emulator(lab) -> None:
    """It has the face that all emulators have."""
    assert isinstance(lab.cloud, Emulator)
    assert lab.cloud.start() == {}
    lab.cloud.stop()
    lab.cloud.stop()


async def application(scope, receive, send) -> None:
    """Answer every request with its path."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def test_an_http_emulator_serves_on_loopback() -> None:
    """On a free port, from a thread, until it is stopped."""
    before = set(threading.enumerate())
    with HttpEmulator(application) as emulator:
        assert emulator.start() == emulator.url
        (serving,) = [
            each for each in set(threading.enumerate()) - before if each.name == "gpuhub-emulator"
        ]
        assert emulator.url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{emulator.url}/there") as answer:  # noqa: S310 - loopback
            assert answer.read() == b"/there"
    assert not serving.is_alive()
    with pytest.raises(RuntimeError, match="not running"):
        _ = emulator.url
    emulator.stop()


def test_stopping_is_quick_and_cuts_off_requests() -> None:
    """A suite starts one for each test; a request that never ends must not hold it."""
    assert any(_seconds_to_stop() < 0.09 for _ in range(20))


def _seconds_to_stop() -> float:
    received = threading.Event()

    async def silent(scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            await application(scope, receive, send)
            return
        received.set()
        while (await receive())["type"] != "http.disconnect":
            pass

    emulator = HttpEmulator(silent)
    address = urllib.parse.urlsplit(emulator.start())
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
        assert received.wait(30)
        began = time.monotonic()
        emulator.stop()
        took = time.monotonic() - began
        client.settimeout(30)
        assert client.recv(1) == b""
    return took


def test_a_request_under_way_may_still_end(caplog) -> None:
    """An emulator's worker that waits for a job sees that it is to leave: no traceback of that."""
    received = threading.Event()

    async def waiting(scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            await application(scope, receive, send)
            return
        await receive()
        received.set()
        await receive()
        await asyncio.sleep(0.01)

    emulator = HttpEmulator(waiting)
    address = urllib.parse.urlsplit(emulator.start())
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
        assert received.wait(30)
        emulator.stop()
    assert "Traceback" not in caplog.text


@pytest.mark.filterwarnings("error")
def test_clients_that_come_while_it_stops() -> None:
    """Are cut off like all others; asyncio alone would leave their sockets open."""
    for _ in range(5):
        emulator = HttpEmulator(application)
        address = urllib.parse.urlsplit(emulator.start())
        stopped, accepted = threading.Event(), threading.Event()

        def connect(address=address, stopped=stopped, accepted=accepted) -> list[socket.socket]:
            clients: list[socket.socket] = []
            with suppress(OSError):
                while not stopped.is_set() and len(clients) < 400:
                    clients.append(socket.create_connection((address.hostname, address.port)))
                    accepted.set()
            return clients

        with ThreadPoolExecutor(3) as pool:
            comers = [pool.submit(connect) for _ in range(3)]
            assert accepted.wait(30)
            emulator.stop()
            stopped.set()
        for client in [client for comer in comers for client in comer.result()]:
            client.settimeout(30)
            with client, suppress(ConnectionError):
                assert client.recv(1) == b""
    gc.collect()  # an open socket warns now


def test_an_application_that_does_not_start() -> None:
    """Is an error, not an endless wait."""

    async def broken(scope, receive, send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    with pytest.raises(RuntimeError, match="did not start"):
        HttpEmulator(broken).start()


@pytest.mark.slow
def test_a_forgotten_http_emulator_does_not_keep_python_alive() -> None:
    """It ends with the interpreter."""
    code = (
        "from gpuhub.testing.emulator import HttpEmulator\n"
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    await send({'type': 'lifespan.startup.complete'})\n"
        "    await receive()\n"
        "    await send({'type': 'lifespan.shutdown.complete'})\n"
        "print(HttpEmulator(app).start())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("http://127.0.0.1:")


def test_a_missing_extra_is_named(monkeypatch) -> None:
    """With the line that installs it."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(AdapterNotInstalled, match=r"gpuhub-sdk\[emulator\]"):
        HttpEmulator(application).start()


def test_the_base_needs_no_extra() -> None:
    """Importing it loads neither starlette nor uvicorn."""
    code = (
        "import sys, gpuhub.testing.emulator, gpuhub_mock\n"
        "unwanted = ('starlette', 'uvicorn', 'httpx', 'pytest')\n"
        "print([name for name in unwanted if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
