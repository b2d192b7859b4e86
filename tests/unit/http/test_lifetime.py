"""When clients are made and closed: loops, forks, threads, the end of the process."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from gpuhub import _drive
from gpuhub._http import Connections
from gpuhub._http.sync_transport import _sockets
from gpuhub.errors import ProviderUnavailable
from gpuhub.plan import Request, Retry
from tests.unit.http.loopback import KEEPING, make_info, make_settings

GET = Request("GET", "/", retry=Retry.NEVER)


def connected(server, **options):
    """Connections to a server."""
    return Connections(make_info(), make_settings(api_url=server.url), limits=KEEPING, **options)


@pytest.fixture
def connections(serve):
    """Connections to a server that answers."""
    made = connected(serve(), fast=False)
    yield made
    made.close()


@pytest.mark.parametrize("fast", [False, True])
def test_each_loop_has_its_own_client(serve, fast):
    """One ``AsyncIo`` used on two loops speaks on two connections, and both loops end clean."""
    server = serve()
    connections = connected(server, fast=fast)
    io = connections.asynchronous()

    async def twice():
        await io.send(GET)
        return await io.send(GET)

    for _ in range(2):
        assert asyncio.run(twice()).status == 200
    gc.collect()  # a client or socket left behind would warn, which is an error here
    assert len({each.connection for each in server.received}) == 2
    assert not connections._on_loops
    connections.close()


def test_a_request_that_connects_after_the_close_leaves_nothing(connections):
    """As one of another thread may: its connection is not kept for a next one."""
    outgoing, transport = connections.prepared(GET, None), connections.transport()
    connections.close()
    assert transport.exchange(outgoing).status == 200
    assert [each for client in transport._pools for each in _sockets(client)] == []


def test_a_request_that_is_connecting_at_the_close_leaves_nothing(connections, monkeypatch):
    """Its pool has nothing to close yet, and forgets it."""
    connect, made = socket.create_connection, []

    def closing(*args, **kwargs):
        connections.close()
        made.append(connect(*args, **kwargs))
        return made[-1]

    outgoing, transport = connections.prepared(GET, None), connections.transport()
    monkeypatch.setattr(socket, "create_connection", closing)
    assert transport.exchange(outgoing).status == 200
    assert [each.fileno() for each in made] == [-1]


@pytest.mark.parametrize("fast", [False, True])
def test_loops_in_threads_do_not_mix(serve, fast):
    """Loops that run at the same time, one per thread, do not get at each other's clients."""
    server = serve()
    connections = connected(server, fast=fast)
    errors = []

    async def some():
        await asyncio.gather(*(connections.asynchronous().send(GET) for _ in range(8)))

    def work():
        try:
            asyncio.run(some())
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(server.received) == 32
    connections.close()


def test_close_reaches_a_loop_in_another_thread(serve):
    """``close`` from outside closes the client of a loop that runs elsewhere."""
    server = serve()
    connections = connected(server, fast=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    sent = asyncio.run_coroutine_threadsafe(connections.asynchronous().send(GET), loop)
    assert sent.result(30).status == 200
    connections.close()
    asyncio.run_coroutine_threadsafe(_others(), loop).result(30)
    assert not connections._on_loops
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def _others():
    """Wait for what else runs on the loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others)


def test_closed_loops_are_forgotten(connections):
    """A loop that ended without its clean-up does not keep its client alive for ever."""
    loops = [asyncio.new_event_loop() for _ in range(2)]
    for loop in loops:
        loop.run_until_complete(_made(connections, loop))
        loop.close()
    assert list(connections._on_loops) == [loops[-1]]


async def _made(connections, loop):
    await connections.new_transport_on(loop)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_closed_connections_say_so(connections, kind):
    """Nothing is sent after ``close``."""
    connections.close()
    io = connections.blocking() if kind == "sync" else connections.asynchronous()
    run = _drive.run if kind == "sync" else asyncio.run
    with pytest.raises(RuntimeError, match="the connections to acme are closed"):
        run(io.send(GET))


def test_close_twice_is_harmless(connections):
    """Closing what was never used, or is closed, does nothing."""
    connections.close()
    connections.close()
    asyncio.run(connections.aclose())
    assert repr(connections) == "<Connections acme (closed)>"


def test_close_frees_a_thread_that_waits(serve):
    """A long poll on another thread ends when the connections are closed, without an answer."""
    stop = threading.Event()
    server = serve(lambda it: stop.wait(50))
    connections = connected(server)
    errors = []

    def poll():
        try:
            _drive.run(connections.blocking().send(GET))
        except ProviderUnavailable as error:
            errors.append(error)

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    while not server.received:
        time.sleep(0.005)
    connections.close()
    thread.join(30)
    assert not thread.is_alive()
    assert [error.accepted for error in errors] == [None]
    stop.set()


def test_unclosed_connections_go_with_the_object(serve):
    """Connections that nobody closes leave no open socket behind."""
    server = serve()
    connections = connected(server)
    _drive.run(connections.blocking().send(GET))
    del connections
    gc.collect()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_after_fork_has_its_own_connection(serve):
    """A forked child does not speak on its parent's connection."""
    server = serve()
    connections = connected(server)
    io = connections.blocking()
    _drive.run(io.send(GET))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if _drive.run(io.send(GET)).status == 200 else 1
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert _drive.run(io.send(GET)).status == 200
    first, in_child, after = (each.connection for each in server.received)
    assert in_child != first
    assert after == first
    connections.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_that_closes_does_not_hang_up_for_its_parent(serve):
    """Closing in a forked child leaves the parent's connection alone."""
    server = serve()
    connections = connected(server)
    io = connections.blocking()
    _drive.run(io.send(GET))
    child = os.fork()
    if child == 0:
        try:
            connections.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    _drive.run(io.send(GET))
    assert len({each.connection for each in server.received}) == 1
    connections.close()


def test_script_that_closes_nothing_ends_silently(serve):
    """Neither sync nor async use leaves a warning on stderr when a script just ends."""
    script = _SCRIPT.replace("SERVER", serve().url)
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "200 200\n", "")


_SCRIPT = """
import asyncio
from gpuhub import _drive
from gpuhub._http import Connections
from gpuhub.adapter import AdapterInfo, Origin
from gpuhub.plan import Request
from gpuhub.settings import ProviderSettings
info = AdapterInfo(name="a", title="A", docs_url="", origins=(Origin("api", "u", "SERVER"),))
connections = Connections(info, ProviderSettings(provider="a"))
first = _drive.run(connections.blocking().send(Request("GET", "/")))
second = asyncio.run(connections.asynchronous().send(Request("GET", "/")))
print(first.status, second.status)
"""


def test_importing_loads_no_http_client():
    """Making connections is cheap: httpx, aiohttp, tenacity and asyncio load when needed."""
    script = """
import sys
from gpuhub._http import Connections
from gpuhub.adapter import AdapterInfo
from gpuhub.settings import ProviderSettings
info = AdapterInfo(name="a", title="A", docs_url="")
Connections(info, ProviderSettings(provider="a")).blocking()
print([name for name in ("httpx", "aiohttp", "tenacity", "asyncio") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_many_threads_long_poll_over_one_client(serve):
    """256 threads, each waiting in a long poll at the same time, all get their answer."""
    together = threading.Barrier(256)
    server = serve(lambda it: (together.wait(50), it.reply()))
    connections = connected(server)
    io = connections.blocking()
    statuses = []

    def poll():
        statuses.append(_drive.run(io.send(GET)).status)

    threads = [threading.Thread(target=poll) for _ in range(256)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 256
    connections.close()


@pytest.mark.parametrize("fast", [False, True])
def test_many_tasks_long_poll_over_one_client(serve, fast):
    """256 tasks, the same."""
    together = threading.Barrier(256)
    server = serve(lambda it: (together.wait(50), it.reply()))
    connections = connected(server, fast=fast)
    io = connections.asynchronous()

    async def all_of_them():
        return await asyncio.gather(*(io.send(GET) for _ in range(256)))

    assert [each.status for each in asyncio.run(all_of_them())] == [200] * 256
    connections.close()
