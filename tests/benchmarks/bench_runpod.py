"""Tiny jobs on RunPod's emulator: gpuhub, RunPod's own client and raw httpx, in one run.

Run it alone: ``uv run python tests/benchmarks/bench_runpod.py``. RunPod's client runs in a process
of the environment ``.venv-runpod``, see ``tests/vendor/README.md``; the emulator in one of its own.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

import gpuhub
from gpuhub_runpod.emulator import sdk_python
from tests.benchmarks import measuring
from tests.benchmarks.measuring import RAW, Found, ask_vendor, found, played, project, table

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
PROJECT = f"""
import gpuhub

@gpuhub.function(
    image=gpuhub.Image({IMAGE!r}),
    options={{"runpod": {{"image_has_worker": True}}}},
    scaling=gpuhub.Scaling(min_workers=1, max_workers=1),
)
def double(number: int) -> int:
    return 2 * number
"""


def in_threads(call: Callable[[], object], level: int) -> Found:
    """Measure calls from so many threads."""
    return found(measuring.in_threads(call, level, COUNTS[level], 2 * level))


async def on_loop(call: Callable[[], Awaitable[object]], level: int) -> Found:
    """The same with so many tasks."""
    return found(await measuring.on_loop(call, level, COUNTS[level], 2 * level))


def bench_vendor(url: str, address: str, *, is_shared: bool) -> dict[int, Found]:
    """RunPod's client: one for all threads, as its documentation has it, or one for each."""
    levels = [(level, COUNTS[level]) for level in LEVELS]
    given = [address, levels, is_shared]
    printed = ask_vendor(sdk_python(), VENDOR, given, RUNPOD_ENDPOINT_BASE_URL=url)
    rows = [line.split() for line in printed.splitlines()]
    return {int(level): (float(rate), float(median)) for level, rate, median in rows}


def bench_httpx(url: str, address: str) -> dict[str, dict[int, Found]]:
    """Plain httpx, blocking and on a loop."""
    place = f"{url}/{address}/runsync"
    document = {"input": {"number": 1}}
    with httpx.Client(**RAW) as client:
        blocking = {
            level: in_threads(lambda: client.post(place, json=document).json(), level)
            for level in LEVELS
        }

    async def all_levels() -> dict[int, Found]:
        async with httpx.AsyncClient(**RAW) as client:
            return {
                level: await on_loop(lambda: client.post(place, json=document), level)
                for level in LEVELS
            }

    return {"blocking": blocking, "loop": asyncio.run(all_levels())}


def bench_gpuhub(workspace: gpuhub.Workspace, double: Any) -> dict[str, dict[int, Found]]:
    """gpuhub, blocking and on a loop."""
    endpoint = double.endpoint()
    blocking = {level: in_threads(lambda: endpoint.invoke(1), level) for level in LEVELS}

    async def all_levels() -> dict[int, Found]:
        levels = {level: await on_loop(lambda: endpoint.invoke_async(1), level) for level in LEVELS}
        await workspace.close_async()
        return levels

    return {"blocking": blocking, "loop": asyncio.run(all_levels())}


def report(
    vendors: dict[str, dict[int, Found]],
    raw: dict[str, dict[int, Found]],
    ours: dict[str, dict[int, Found]],
) -> None:
    """Print what was measured, and the ratios that are the goals."""
    sides = (("run_sync", vendors), ("httpx", raw), ("gpuhub", ours))
    table("", {f"{name}, {kind}": each for name, side in sides for kind, each in side.items()})
    per_call = ours["blocking"][1][1] / raw["blocking"][1][1]
    print(f"one call: gpuhub / raw httpx = {per_call:.2f} (goal 1.2)")
    for level in LEVELS:
        best = max(ours[mode][level][0] for mode in ours)
        ratios = (f"{best / each[level][0]:.2f} ({kind})" for kind, each in vendors.items())
        print(f"{level} in flight: gpuhub / run_sync = {', '.join(ratios)}", end="")
        print("; goal 2" if level == 32 else "")


def main() -> None:
    """Play RunPod and measure."""
    with played(EMULATOR) as url, tempfile.TemporaryDirectory() as name:
        workspace = gpuhub.Workspace(
            provider="runpod",
            app="bench",
            root=Path(name),
            provider_options={"api_url": url, "data_url": url},
            environ={"RUNPOD_API_KEY": "made-up", "GPUHUB_STATE_DIR": name},
        )
        double = project(Path(name), PROJECT).double.in_workspace(workspace)
        endpoint = double.deploy()
        assert endpoint.invoke(3) == 6
        address = endpoint.ref.address
        vendors = {
            "one client": bench_vendor(url, address, is_shared=True),
            "one per thread": bench_vendor(url, address, is_shared=False),
        }
        raw = bench_httpx(url, address)
        report(vendors, raw, bench_gpuhub(workspace, double))
        workspace.close()


if __name__ == "__main__":
    main()
