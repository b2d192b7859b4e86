"""Warm predictions on Baseten's emulator: gpuhub, Baseten's Rust client and raw httpx, in one run.

Run it alone: ``uv run python tests/benchmarks/bench_baseten.py``. Baseten's client runs in a
process of ``.venv-baseten``, see ``tests/vendor/README.md``; the emulator in one of its own.

Twice: with a replica that is Truss's own server and runs what was pushed, and with one that answers
at once and shows what the clients cost by themselves. The goals are about the former.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import httpx

import gpuhub
from gpuhub_baseten.emulator import truss_python
from tests.benchmarks.measuring import (
    RAW,
    Found,
    ask_vendor,
    found,
    on_loop,
    one_by_one,
    played,
    project,
    table,
)

LEVELS = (1, 64)
COUNTS = {1: 500, 64: 2048}
ROUNDS = 3
NAME = "bench-double"
EMULATOR = f"""
import gc, sys
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_baseten.emulator import BasetenEmulator, EmulatorOptions

is_played = sys.argv[1] == "played"
kind = "stub" if is_played else "truss"
options = EmulatorOptions(workers=kind, build_s=0.0, deploy_s=0.0, cold_start_s=0.0)
emulator = BasetenEmulator(options, SystemClock())
if is_played:
    emulator.play({NAME!r}, lambda body: {{"result": body["number"] * 2}})
print(emulator.start()["api_url"], flush=True)
gc.disable()
sys.stdin.read()
emulator.stop()
"""
VENDOR = """
import json, statistics, sys, time
from baseten_performance_client import PerformanceClient, RequestProcessingPreference

base, level, count = json.load(sys.stdin)
client = PerformanceClient(base_url=base, api_key="made-up")
preference = RequestProcessingPreference(max_concurrent_requests=level)

def run(number):
    payloads = [{"number": each} for each in range(number)]
    return client.batch_post("/production/predict", payloads, preference=preference)

run(2 * level)
began = time.perf_counter()
done = run(count)
took = time.perf_counter() - began
assert all(each["result"] == 2 * number for number, each in enumerate(done.data))
print(count / took, statistics.median(done.individual_request_times))
"""
PROJECT = """
import gpuhub

@gpuhub.function(scaling=gpuhub.Scaling(max_workers=1, concurrency=256, idle_timeout=3600))
def double(number: int) -> int:
    return 2 * number
"""


def bench_vendor(base: str) -> dict[int, Found]:
    """Baseten's Rust client."""
    results = {}
    for level in LEVELS:
        printed = ask_vendor(truss_python(), VENDOR, [base, level, COUNTS[level]])
        rate, median = printed.split()
        results[level] = (float(rate), float(median))
    return results


def bench_httpx(base: str) -> dict[int, Found]:
    """Plain httpx: blocking for one call, on a loop for many."""
    place, document = f"{base}/production/predict", {"number": 1}
    with httpx.Client(**RAW) as client:
        single = one_by_one(lambda: client.post(place, json=document).json(), COUNTS[1], 50)

    async def many() -> Found:
        async with httpx.AsyncClient(**RAW) as client:
            return found(
                await on_loop(lambda: client.post(place, json=document), 64, COUNTS[64], 128)
            )

    return {1: found(single), 64: asyncio.run(many())}


def bench_gpuhub(workspace: gpuhub.Workspace, double: Any) -> dict[int, Found]:
    """The same with gpuhub; on a loop over aiohttp, as ``gpuhub-sdk[fast]`` does."""
    endpoint = double.endpoint()
    single = one_by_one(lambda: endpoint.invoke(1), COUNTS[1], 50)

    async def many() -> Found:
        measured = await on_loop(lambda: endpoint.invoke_async(1), 64, COUNTS[64], 128)
        await workspace.close_async()
        return found(measured)

    return {1: found(single), 64: asyncio.run(many())}


def best(rounds: list[dict[int, Found]]) -> dict[int, Found]:
    """Take the quietest round at each level: others share this machine."""
    return {level: max(each[level] for each in rounds) for level in LEVELS}


def report(kind: str, results: dict[str, dict[int, Found]]) -> None:
    """Print what was measured, and the ratios that are the goals."""
    table(kind, results)
    ours, raw, rust = (results[name] for name in ("gpuhub", "httpx", "performance client"))
    print(f"one call: gpuhub / raw httpx = {ours[1][1] / raw[1][1]:.2f} (goal 1.2)")
    print(f"64 in flight: Rust client / gpuhub = {rust[64][0] / ours[64][0]:.2f} (goal 1.5)")


def measure(kind: str) -> None:
    """Play Baseten with one kind of replica, and measure."""
    with played(EMULATOR, kind) as url, tempfile.TemporaryDirectory() as name:
        workspace = gpuhub.Workspace(
            provider="baseten",
            app="bench",
            root=Path(name),
            provider_options={
                "api_url": url,
                "model_url": f"{url}/model-{{model_id}}",
                "upload_url": f"{url}/{{bucket}}",
            },
            environ={"BASETEN_API_KEY": "made-up", "GPUHUB_STATE_DIR": name},
        )
        double = project(Path(name), PROJECT).double.in_workspace(workspace)
        endpoint = double.deploy()
        assert endpoint.invoke(3) == 6
        base = f"{url}/model-{endpoint.ref.address}"
        measured: dict[str, list[dict[int, Found]]] = {}
        for _ in range(ROUNDS):
            measured.setdefault("performance client", []).append(bench_vendor(base))
            measured.setdefault("httpx", []).append(bench_httpx(base))
            measured.setdefault("gpuhub", []).append(bench_gpuhub(workspace, double))
        report(kind, {name: best(rounds) for name, rounds in measured.items()})
        workspace.close()


def main() -> None:
    """Measure with both kinds."""
    for kind in ("truss", "played"):
        measure(kind)


if __name__ == "__main__":
    main()
