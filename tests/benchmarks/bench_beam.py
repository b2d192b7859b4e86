"""Warm calls of an endpoint on Beam's emulator: gpuhub, raw httpx and beta9's client, in one run.

Run it alone: ``uv run python tests/benchmarks/bench_beam.py``. Beta9's client runs in a process of
``.venv-beam``, see ``tests/vendor/README.md``; the emulator in one of its own.

Twice: on beta9's own runner, with gunicorn and its two gRPC calls for each request, and on a quick
worker that shows more of what the clients cost by themselves. The goal is about the former. All
clients call the same container through the same gateway; raw httpx sends gpuhub's very body.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import gpuhub
from gpuhub_beam.emulator import beta9_python

COUNT = 400
ROUNDS = 5
WARM = 50
GOAL = 1.2
TOKEN = "made-up"
EMULATOR = """
import gc, sys
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_beam.emulator import BeamEmulator, EmulatorOptions

emulator = BeamEmulator(EmulatorOptions(workers=sys.argv[1], cold_start_s=0.0), SystemClock())
print(emulator.start()["gateway_url"], flush=True)
gc.disable()  # it keeps tasks: collections would stop it, and all clients, now and then
sys.stdin.read()
emulator.stop()
"""
VENDOR = """
import json, statistics, sys, time
from beta9.client.client import Client

url, token, deployment, warm, count = json.load(sys.stdin)
target = Client(token=token, api_url=url).get_deployment_by_id(deployment)
times = []
for number in range(warm + count):
    began = time.perf_counter()
    assert target.submit(input={"number": number})["result"] == 2 * number
    times.append(time.perf_counter() - began)
print(statistics.median(times[warm:]))
"""
PROJECT = """
import gpuhub

@gpuhub.function(scaling=gpuhub.Scaling(max_workers=1, idle_timeout=3600))
def double(number: int) -> int:
    return 2 * number
"""


def project(folder: Path) -> Any:
    """Write the function that is deployed, and import it."""
    (folder / "bench_project.py").write_text(PROJECT, encoding="utf-8")
    sys.path.insert(0, str(folder))
    sys.modules.pop("bench_project", None)
    importlib.invalidate_caches()
    return importlib.import_module("bench_project").double


@contextmanager
def emulator(kind: str) -> Iterator[str]:
    """Play Beam in a process of its own; give its base URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", EMULATOR, kind],
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


def medians_of(*calls: Callable[[int], object]) -> list[float]:
    """Median seconds of each kind of call, in turns: what else the machine does hits all alike."""
    times: list[list[float]] = [[] for _ in calls]
    for number in range(WARM + COUNT):
        for call, taken in zip(calls, times, strict=True):
            began = time.perf_counter()
            call(number)
            taken.append(time.perf_counter() - began)
    return [statistics.median(taken[WARM:]) for taken in times]


def bench_vendor(url: str, deployment: str) -> float:
    """Beta9's client of deployments: a connection for each call, as it has it."""
    done = subprocess.run(
        [beta9_python(), "-W", "ignore", "-c", VENDOR],
        input=json.dumps([url, TOKEN, deployment, WARM, COUNT]),
        env={"PATH": os.defpath, "HOME": "/nonexistent"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


def compared(url: str, folder: Path) -> tuple[list[float], list[float], float]:
    """Medians of raw httpx and of gpuhub, taken in turns, and of beta9's client."""
    workspace = gpuhub.Workspace(
        provider="beam",
        app="bench",
        root=folder,
        provider_options={"gateway_url": url},
        environ={"BEAM_TOKEN": TOKEN, "GPUHUB_STATE_DIR": str(folder)},
    )
    endpoint = project(folder).in_workspace(workspace).deploy()
    assert endpoint.invoke(3) == 6
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(headers=headers, timeout=60, trust_env=False) as client:
        place = f"{url}/endpoint/{endpoint.name}/v1"
        listed = client.get(f"{url}/api/v1/gateway/deployments").json()["deployments"]
        kinds = {each["stubType"]: each["id"] for each in listed}

        def raw(number: int) -> object:
            call = json.dumps({"number": number})
            answer = client.post(place, json={"kwargs": {"gpuhub_call": call}}).json()
            assert answer["result"] == 2 * number
            return answer

        rounds = [medians_of(raw, endpoint.invoke) for _ in range(ROUNDS)]
        vendor = bench_vendor(url, kinds["endpoint/deployment"])
    workspace.close()
    return [one for one, _ in rounds], [other for _, other in rounds], vendor


def main() -> None:
    """Play Beam and measure, with each kind of worker."""
    for kind in ("stub", "beta9"):
        with emulator(kind) as url, tempfile.TemporaryDirectory() as name:
            raw, ours, vendor = compared(url, Path(name))
        ratios = sorted(other / one for one, other in zip(raw, ours, strict=True))
        middle = statistics.median(ratios)
        goal = f" (goal {GOAL})" if kind == "beta9" else ""
        print(f"{kind:6} httpx {1e3 * statistics.median(raw):6.2f} ms", end="")
        print(f", gpuhub {1e3 * statistics.median(ours):6.2f} ms", end="")
        print(f", beta9's client {1e3 * vendor:6.2f} ms", end="")
        print(f"; gpuhub / httpx = {middle:.2f}{goal}, {ratios[0]:.2f} to {ratios[-1]:.2f}")


if __name__ == "__main__":
    main()
