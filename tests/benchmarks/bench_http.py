"""The HTTP layer against raw httpx, to one loopback server, in one run.

Run it alone: ``uv run python tests/benchmarks/bench_http.py``.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from pydantic import SecretStr

from gpuhub import _drive
from gpuhub._http import Connections
from gpuhub.adapter import AdapterInfo, Origin
from gpuhub.plan import Request
from gpuhub.settings import Credential, ProviderSettings
from tests.benchmarks.measuring import by_turns

SERVER = """
import asyncio, sys

ANSWER = b'HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: 14\\r\\n\\r\\n'
ANSWER += b'{"result": 42}'
DELAY = float(sys.argv[1])

class Answering(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.data = transport, b""
    def data_received(self, data):
        self.data += data
        head, mark, body = self.data.partition(b"\\r\\n\\r\\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\\r\\n")[0]
        if mark and len(body) >= int(length or 0):
            self.data = b""
            asyncio.get_running_loop().call_later(DELAY, self.transport.write, ANSWER)

async def main():
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
BODY = {"texts": ["a short text", "another one"], "normalize": True}
CREDENTIAL = Credential("key", "ACME_KEY")
RUN = Request("POST", "/v2/run", json=BODY)


@contextmanager
def served(delay: float) -> Iterator[str]:
    """Run a server that answers after so many seconds, in a process of its own."""
    command = [sys.executable, "-c", SERVER, str(delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


def connections(url: str, *, fast: bool | None = None) -> Connections:
    """Connect as a workspace does."""
    info = AdapterInfo(
        name="acme",
        title="Acme",
        docs_url="",
        credentials=(CREDENTIAL,),
        origins=(Origin("api", "api_url", url, {"Authorization": "Bearer {key}"}),),
    )
    secrets = {"key": SecretStr("secret")}
    settings = ProviderSettings(provider="acme", credentials=(CREDENTIAL,), secrets=secrets)
    return Connections(info, settings, fast=fast)


def raw_options() -> dict[str, Any]:
    """Give raw httpx as many connections, or it would time out."""
    limits = httpx.Limits(max_connections=288, max_keepalive_connections=288)
    return {"limits": limits, "timeout": 60, "headers": {"Authorization": "Bearer secret"}}


def bench_one(url: str) -> None:
    """One request after the other."""
    ours = connections(url)
    io = ours.blocking()
    with httpx.Client(**raw_options()) as client:
        raw_s, our_s = by_turns(
            lambda _: client.post(f"{url}/v2/run", json=BODY).json(),
            lambda _: _drive.run(io.send(RUN)).json(),
            count=1450,
            warm=50,
        )
    ours.close()
    raw_us, our_us = 1e6 * raw_s, 1e6 * our_s
    print(f"one at a time: httpx {raw_us:.0f} us, gpuhub {our_us:.0f} us,", end=" ")
    print(f"ratio {our_us / raw_us:.2f} (limit 1.15, or 300 us more)")


def in_threads(call: Callable[[], object], threads: int, rounds: int) -> float:
    """Seconds for so many threads to call so many times each."""

    def work() -> None:
        for _ in range(rounds):
            call()

    started = [threading.Thread(target=work) for _ in range(threads)]
    start = time.perf_counter()
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return time.perf_counter() - start


def bench_threads(url: str, threads: int = 128, rounds: int = 8) -> None:
    """Many threads over one client, as ``map`` has them."""
    ours = connections(url)
    io = ours.blocking()
    our_s = in_threads(lambda: _drive.run(io.send(RUN)), threads, rounds)
    ours.close()
    with httpx.Client(**raw_options()) as client:
        raw_s = in_threads(lambda: client.post(f"{url}/v2/run", json=BODY), threads, rounds)
    print(f"{threads} threads x {rounds}: httpx {raw_s:.2f} s, gpuhub {our_s:.2f} s,", end=" ")
    print(f"{raw_s / our_s:.1f} times as fast")


async def in_flight(call: Callable[[], Awaitable[object]], tasks: int, rounds: int) -> float:
    """Seconds for so many tasks to call so many times each."""

    async def work() -> None:
        for _ in range(rounds):
            await call()

    await call()
    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(tasks)))
    return time.perf_counter() - start


async def ours_in_flight(url: str, tasks: int, rounds: int, *, fast: bool) -> float:
    """The same over our connections."""
    ours = connections(url, fast=fast)
    io = ours.asynchronous()
    try:
        return await in_flight(lambda: io.send(RUN), tasks, rounds)
    finally:
        await ours.aclose()


async def bench_async(url: str, tasks: int = 256, rounds: int = 8) -> None:
    """Many tasks in flight."""
    async with httpx.AsyncClient(**raw_options()) as client:
        raw_s = await in_flight(lambda: client.post(f"{url}/v2/run", json=BODY), tasks, rounds)
    plain_s = await ours_in_flight(url, tasks, rounds, fast=False)
    fast_s = await ours_in_flight(url, tasks, rounds, fast=True)
    print(f"{tasks} in flight x {rounds}: httpx.AsyncClient {raw_s:.2f} s,", end=" ")
    print(f"gpuhub {plain_s:.2f} s ({raw_s / plain_s:.1f} times as fast),", end=" ")
    print(f"gpuhub[fast] {fast_s:.2f} s ({raw_s / fast_s:.1f} times, wanted 2)")


def main() -> None:
    """Print all ratios."""
    with served(0.0) as url:
        bench_one(url)
    with served(0.05) as url:
        bench_threads(url)
        asyncio.run(bench_async(url))


if __name__ == "__main__":
    main()
