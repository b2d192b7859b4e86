"""Warm calls of an endpoint on Beam's emulator: gpuhub, raw httpx and beta9's client, in one run.

Run it alone: ``uv run python tests/benchmarks/bench_beam.py``. Beta9's client runs in a process of
``.venv-beam``, see ``tests/vendor/README.md``; the emulator in one of its own.

Twice: on beta9's own runner, with gunicorn and its two gRPC calls for each request, and on a quick
worker that shows more of what the clients cost by themselves. The goal is about the former. All
clients call the same container through the same gateway; raw httpx sends gpuhub's very body.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

import httpx

import gpuhub
from gpuhub_beam.emulator import beta9_python
from tests.benchmarks.measuring import RAW, ask_vendor, by_turns, played, project

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


def bench_vendor(url: str, deployment: str) -> float:
    """Beta9's client of deployments: a connection for each call, as it has it."""
    return float(ask_vendor(beta9_python(), VENDOR, [url, TOKEN, deployment, WARM, COUNT]))


def compared(url: str, folder: Path) -> tuple[list[float], list[float], float]:
    """Medians of raw httpx and of gpuhub, taken in turns, and of beta9's client."""
    workspace = gpuhub.Workspace(
        provider="beam",
        app="bench",
        root=folder,
        provider_options={"gateway_url": url},
        environ={"BEAM_TOKEN": TOKEN, "GPUHUB_STATE_DIR": str(folder)},
    )
    endpoint = project(folder, PROJECT).double.in_workspace(workspace).deploy()
    assert endpoint.invoke(3) == 6
    with httpx.Client(**RAW) as client:
        place = f"{url}/endpoint/{endpoint.name}/v1"
        listed = client.get(f"{url}/api/v1/gateway/deployments").json()["deployments"]
        kinds = {each["stubType"]: each["id"] for each in listed}

        def raw(number: int) -> object:
            call = json.dumps({"number": number})
            answer = client.post(place, json={"kwargs": {"gpuhub_call": call}}).json()
            assert answer["result"] == 2 * number
            return answer

        turns = {"count": COUNT, "warm": WARM}
        rounds = [by_turns(raw, endpoint.invoke, **turns) for _ in range(ROUNDS)]
        vendor = bench_vendor(url, kinds["endpoint/deployment"])
    workspace.close()
    return [one for one, _ in rounds], [other for _, other in rounds], vendor


def main() -> None:
    """Play Beam and measure, with each kind of worker."""
    for kind in ("stub", "beta9"):
        with played(EMULATOR, kind) as url, tempfile.TemporaryDirectory() as name:
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
