"""Tiny jobs on RunPod's emulator: gpuhub, RunPod's own client and raw httpx, in one run.

Run it alone: ``uv run python tests/benchmarks/bench_runpod.py``. RunPod's client runs in a process
of the environment ``.venv-runpod``, see ``tests/vendor/README.md``; the emulator in one of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import gpuhub
from gpuhub_runpod.emulator import sdk_python

LEVELS = (1, 32, 256)
COUNTS = {1: 600, 32: 3200, 256: 5120}
IMAGE = "docker.io/bench/echo:1"
EMULATOR = f"""
import gc, sys
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_runpod.emulator import EmulatorOptions, RunPodEmulator

emulator = RunPodEmulator(EmulatorOptions(cold_start_s=0.0), SystemClock())
emulator.play({IMAGE!r}, lambda job: {{"result": job["input"].get("number", 0) * 2}})
print(emulator.start()["api_url"], flush=True)
gc.disable()  # it keeps jobs for a while: collections would stop it, and all clients, for 0.1 s
sys.stdin.read()
emulator.stop()
"""
VENDOR = """
import json, os, statistics, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
import runpod

runpod.api_key = "made-up"
address, levels, is_shared = json.load(sys.stdin)
own = threading.local()
shared = runpod.Endpoint(address)

def call(number):
    # One client for each thread is the best case: a connection pool of theirs holds ten.
    if not hasattr(own, "endpoint"):
        own.endpoint = shared if is_shared else runpod.Endpoint(address)
    began = time.perf_counter()
    assert own.endpoint.run_sync({"number": number})["result"] == 2 * number
    return time.perf_counter() - began

for level, count in levels:
    with ThreadPoolExecutor(level) as threads:
        list(threads.map(call, [1] * 2 * level))
        began = time.perf_counter()
        times = list(threads.map(call, [1] * count))
        print(level, count / (time.perf_counter() - began), statistics.median(times), flush=True)
"""


@gpuhub.function(
    image=gpuhub.Image(IMAGE),
    options={"runpod": {"image_has_worker": True}},
    scaling=gpuhub.Scaling(min_workers=1, max_workers=1),
)
def double(number: int) -> int:
    """Double it."""
    return 2 * number


@contextmanager
def emulator() -> Iterator[str]:
    """Play RunPod in a process of its own; give its base URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", EMULATOR],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(10)


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


async def timed_async(call: Callable[[], Awaitable[object]]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    await call()
    return time.perf_counter() - began


def in_threads(call: Callable[[], object], level: int) -> tuple[float, float]:
    """Calls per second and their median seconds, from so many threads."""
    with ThreadPoolExecutor(level) as threads:
        list(threads.map(lambda _: call(), range(2 * level)))
        began = time.perf_counter()
        times = list(threads.map(lambda _: timed(call), range(COUNTS[level])))
        return COUNTS[level] / (time.perf_counter() - began), statistics.median(times)


async def on_loop(call: Callable[[], Awaitable[object]], level: int) -> tuple[float, float]:
    """The same with so many tasks."""
    times: list[float] = []

    async def worker(calls: int) -> None:
        for _ in range(calls):
            times.append(await timed_async(call))  # noqa: PERF401 - as they come

    await asyncio.gather(*(worker(2) for _ in range(level)))
    times.clear()
    began = time.perf_counter()
    await asyncio.gather(*(worker(COUNTS[level] // level) for _ in range(level)))
    return len(times) / (time.perf_counter() - began), statistics.median(times)


def bench_vendor(url: str, address: str, *, is_shared: bool) -> dict[int, tuple[float, float]]:
    """RunPod's client: one for all threads, as its documentation has it, or one for each."""
    environment = {"PATH": os.defpath, "HOME": "/nonexistent", "RUNPOD_ENDPOINT_BASE_URL": url}
    levels = [(level, COUNTS[level]) for level in LEVELS]
    done = subprocess.run(
        [sdk_python(), "-W", "ignore", "-c", VENDOR],
        input=json.dumps([address, levels, is_shared]),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    return {int(level): (float(rate), float(median)) for level, rate, median in rows}


def bench_httpx(url: str, address: str) -> dict[str, dict[int, tuple[float, float]]]:
    """Plain httpx, blocking and on a loop."""
    place = f"{url}/{address}/runsync"
    document = {"input": {"number": 1}}
    limits = httpx.Limits(max_connections=300, max_keepalive_connections=300)
    settings: dict[str, Any] = {
        "headers": {"Authorization": "Bearer made-up"},
        "limits": limits,
        "timeout": 60,
        "trust_env": False,
    }
    with httpx.Client(**settings) as client:
        blocking = {
            level: in_threads(lambda: client.post(place, json=document).json(), level)
            for level in LEVELS
        }

    async def all_levels() -> dict[int, tuple[float, float]]:
        async with httpx.AsyncClient(**settings) as client:
            return {
                level: await on_loop(lambda: client.post(place, json=document), level)
                for level in LEVELS
            }

    return {"blocking": blocking, "loop": asyncio.run(all_levels())}


def bench_gpuhub(workspace: gpuhub.Workspace) -> dict[str, dict[int, tuple[float, float]]]:
    """gpuhub, blocking and on a loop."""
    endpoint = double.in_workspace(workspace).endpoint()
    blocking = {level: in_threads(lambda: endpoint.invoke(1), level) for level in LEVELS}

    async def all_levels() -> dict[int, tuple[float, float]]:
        found = {level: await on_loop(lambda: endpoint.invoke_async(1), level) for level in LEVELS}
        await workspace.close_async()
        return found

    return {"blocking": blocking, "loop": asyncio.run(all_levels())}


def report(
    vendors: dict[str, dict[int, tuple[float, float]]],
    raw: dict[str, dict[int, tuple[float, float]]],
    ours: dict[str, dict[int, tuple[float, float]]],
) -> None:
    """Print what was measured, and the ratios that are the goals."""
    print(f"{'':24}" + "".join(f"{level:>6} in flight: /s, p50 ms" for level in LEVELS))
    for name, kinds in (("run_sync", vendors), ("httpx", raw), ("gpuhub", ours)):
        for kind, found in kinds.items():
            cells = (f"{rate:>17,.0f}, {1e3 * median:>7.2f}" for rate, median in found.values())
            print(f"{f'{name}, {kind}':24}" + "".join(cells))
    per_call = ours["blocking"][1][1] / raw["blocking"][1][1]
    print(f"one call: gpuhub / raw httpx = {per_call:.2f} (goal 1.2)")
    for level in LEVELS:
        best = max(ours[mode][level][0] for mode in ours)
        ratios = (f"{best / found[level][0]:.2f} ({kind})" for kind, found in vendors.items())
        print(f"{level} in flight: gpuhub / run_sync = {', '.join(ratios)}", end="")
        print("; goal 2" if level == 32 else "")


def main() -> None:
    """Play RunPod and measure."""
    with emulator() as url, tempfile.TemporaryDirectory() as name:
        workspace = gpuhub.Workspace(
            provider="runpod",
            app="bench",
            root=Path(name),
            provider_options={"api_url": url, "data_url": url},
            environ={"RUNPOD_API_KEY": "made-up", "GPUHUB_STATE_DIR": name},
        )
        endpoint = double.in_workspace(workspace).deploy()
        assert endpoint.invoke(3) == 6
        address = endpoint.ref.address
        vendors = {
            "one client": bench_vendor(url, address, is_shared=True),
            "one per thread": bench_vendor(url, address, is_shared=False),
        }
        raw = bench_httpx(url, address)
        report(vendors, raw, bench_gpuhub(workspace))
        workspace.close()


if __name__ == "__main__":
    main()
