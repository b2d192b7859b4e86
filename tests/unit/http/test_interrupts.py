"""Ctrl-C and cancelled tasks end what they hit: never repeated, never swallowed."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time

import pytest

from gpuhub import _drive
from gpuhub._clock import SystemClock, VirtualClock
from gpuhub._http import Connections
from gpuhub.plan import Request, Retry
from tests.unit.http.loopback import make_info, make_settings

SAFE = Request("GET", "/", retry=Retry.SAFE)


def test_ctrl_c_ends_a_waiting_request(serve):
    """A real SIGINT during a long poll is raised inside the coroutine, and nothing is repeated."""
    stop = threading.Event()
    server = serve(lambda it: stop.wait(50))
    connections = Connections(make_info(), make_settings(api_url=server.url), clock=VirtualClock())
    seen = []

    async def use(io):
        try:
            await io.send(SAFE)
        except KeyboardInterrupt:
            seen.append("inside the coroutine")
            raise

    def interrupt():
        while not server.received:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        _drive.run(use(connections.blocking()))
    stop.set()
    assert seen == ["inside the coroutine"]
    assert len(server.received) == 1
    connections.close()


class Interrupting(VirtualClock):
    """A clock on which Ctrl-C arrives during a wait."""

    def sleep(self, seconds):
        raise KeyboardInterrupt


def test_ctrl_c_ends_a_wait_between_tries(serve):
    """The same between two tries, inside tenacity."""
    server = serve(lambda it: it.reply(503))
    settings = make_settings(api_url=server.url)
    connections = Connections(make_info(), settings, clock=Interrupting())
    with pytest.raises(KeyboardInterrupt):
        _drive.run(connections.blocking().send(SAFE))
    assert len(server.received) == 1
    connections.close()


def test_ctrl_c_during_a_later_try_is_not_repeated(serve, monkeypatch):
    """The same during the second try."""
    server = serve(lambda it: it.reply(503))
    settings = make_settings(api_url=server.url)
    connections = Connections(make_info(), settings, clock=VirtualClock())
    transport = connections.transport()
    exchange, calls = transport.exchange, []

    def second_is_interrupted(outgoing):
        calls.append(outgoing)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return exchange(outgoing)

    monkeypatch.setattr(transport, "exchange", second_is_interrupted)
    with pytest.raises(KeyboardInterrupt):
        _drive.run(connections.blocking().send(SAFE))
    assert len(calls) == 2
    connections.close()


class Noticing(SystemClock):
    """A clock that tells when somebody waits."""

    def __init__(self):
        self.asleep = threading.Event()

    async def sleep_async(self, seconds):
        self.asleep.set()
        await super().sleep_async(seconds)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("when", ["in flight", "between tries", "in a later try"])
def test_cancel_ends_a_task(serve, fast, when):
    """A cancelled task is cancelled, wherever it is, and the connections still work."""
    stop = threading.Event()

    def answer(exchange):
        if exchange.path == "/after":
            exchange.reply()
        elif when == "in flight" or (when == "in a later try" and len(server.received) > 1):
            stop.wait(50)
        else:
            exchange.reply(503, Retry_After="0.01" if when == "in a later try" else "30")

    server = serve(answer)
    settings, clock = make_settings(api_url=server.url), Noticing()
    connections = Connections(make_info(), settings, clock=clock, fast=fast)
    expected = 2 if when == "in a later try" else 1

    def is_there():
        waits = clock.asleep.is_set() or when != "between tries"
        return waits and len(server.received) == expected

    async def use():
        io = connections.asynchronous()
        task = asyncio.create_task(io.send(SAFE))
        while not is_there():  # noqa: ASYNC110 - another thread receives
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        stop.set()
        assert len(server.received) == expected
        return await io.send(Request("GET", "/after"))

    assert asyncio.run(use()).status == 200
    connections.close()
