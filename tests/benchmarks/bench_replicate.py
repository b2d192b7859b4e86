"""Warm predictions on Replicate's emulator: gpuhub, Replicate's own client and raw httpx.

Run it alone: ``uv run python tests/benchmarks/bench_replicate.py``. Replicate's client runs in a
process of the environment ``.venv-replicate``, see ``tests/vendor/README.md``; the emulator in one
of its own. First a hosted model that answers at once, then a function in Cog's own server.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import gpuhub
from gpuhub_replicate.emulator import coglet_python
from tests.benchmarks.measuring import (
    Found,
    Measured,
    in_threads,
    on_loop,
    played,
    project,
    table,
)

MODEL = "acme/double"
ROUNDS = 8
COUNTS = {1: 60, 32: 320}
"""Calls of each in one round, by the calls in flight."""
PATIENT_COUNTS = {1: 1, 32: 32}
"""Of the client's documented way with a deployment: it sleeps half a second in each."""
PROJECT = """
async def double(number: int) -> int:
    return 2 * number
"""
EMULATOR = f"""
import gc, json, sys
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_replicate.emulator import EmulatorOptions, ReplicateEmulator, schema_of

emulator = ReplicateEmulator(EmulatorOptions(workers="coglet", cold_start_s=0.0), SystemClock())
urls = dict(emulator.start())
number = {{"type": "integer"}}
emulator.play(
    {MODEL!r},
    lambda given: 2 * given["number"],
    schema_of({{"number": number}}, number, required=("number",)),
)
print(json.dumps([urls, emulator.username]), flush=True)
gc.disable()  # it keeps predictions for an hour: collections would stop it, and all clients
sys.stdin.read()
emulator.stop()
"""
VENDOR = """
import json, os, statistics, sys, time
from concurrent.futures import ThreadPoolExecutor
from replicate.client import Client

reference, is_deployment, given, expected = json.loads(sys.stdin.readline())
client = Client(api_token="made-up")
deployment = client.deployments.get(reference) if is_deployment else None

def output():
    if deployment is None:
        return client.run(reference, input=given)
    prediction = deployment.predictions.create(input=given)
    prediction.wait()
    return prediction.output

def call(_):
    began = time.perf_counter()
    assert output() == expected
    return time.perf_counter() - began

for line in sys.stdin:
    level, count = json.loads(line)
    with ThreadPoolExecutor(level) as threads:
        began = time.perf_counter()
        times = list(threads.map(call, range(count)))
        print(json.dumps([count / (time.perf_counter() - began), times]), flush=True)
"""

SETTINGS: dict[str, Any] = {
    "headers": {"Authorization": "Bearer made-up", "Prefer": "wait"},
    "timeout": 61,
    "trust_env": False,
}
Measure = Callable[[int, int], Measured]
"""Takes the calls in flight and their number; gives calls per second and the seconds of each."""


def from_threads(call: Callable[[], object]) -> Measure:
    """Measure calls from threads."""
    return lambda level, count: in_threads(call, level, count)


def from_loop(runner: asyncio.Runner, call: Callable[[], Awaitable[object]]) -> Measure:
    """Measure calls from tasks of one loop."""
    return lambda level, count: runner.run(on_loop(call, level, count))


@contextmanager
def in_vendors_client(
    url: str, reference: str, given: object, expected: object, *, is_deployment: bool
) -> Iterator[Measure]:
    """Measure Replicate's client with its default settings, in a process of its own.

    Args:
        url: Base address of the emulator.
        reference: A model, for ``run()``, or ``owner/name`` of a deployment.
        given: The input.
        expected: The output.
        is_deployment: Whether a deployment is called, as documented: create, then ``wait()``.
    """
    environment = {"PATH": os.defpath, "HOME": "/nonexistent", "REPLICATE_BASE_URL": url}
    process = subprocess.Popen(
        [coglet_python(), "-W", "ignore", "-c", VENDOR],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    given_to, answers = process.stdin, process.stdout

    def tell(message: object) -> None:
        given_to.write(json.dumps(message) + "\n")
        given_to.flush()

    def measure(level: int, count: int) -> Measured:
        tell([level, PATIENT_COUNTS[level] if is_deployment else count])
        rate, times = json.loads(answers.readline())
        return rate, times

    tell([reference, is_deployment, given, expected])
    yield measure
    given_to.close()
    process.wait(10)


def summary(rounds: list[Measured]) -> Found:
    """Give the median rate of all rounds, and the median seconds of all calls."""
    times = [seconds for _, each in rounds for seconds in each]
    return statistics.median(rate for rate, _ in rounds), statistics.median(times)


def compare(title: str, contenders: dict[str, Measure]) -> None:
    """Measure all in turns, so that what else runs slows all down alike; print what was found."""
    rounds: dict[str, dict[int, list[Measured]]] = {}
    for measure in contenders.values():
        for level in COUNTS:
            measure(level, 2 * level)  # connections, imports
    for level, count in COUNTS.items():
        for _ in range(ROUNDS):
            for name, measure in contenders.items():
                measure(1, 2)  # one thread alone sees to connections that the server has closed
                rounds.setdefault(name, {}).setdefault(level, []).append(measure(level, count))
    report(
        title,
        {
            name: {level: summary(each) for level, each in levels.items()}
            for name, levels in rounds.items()
        },
    )


def report(title: str, results: dict[str, dict[int, Found]]) -> None:
    """Print what was measured, and the ratios that are the goals."""
    table(title, results)
    one = {name: levels[1][1] for name, levels in results.items()}
    print(f"one call: gpuhub / raw httpx = {one['gpuhub'] / one['httpx']:.2f}", end=" ")
    print("(goal: at most 1.2)", end=", ")
    print(f"gpuhub / replicate = {one['gpuhub'] / one['replicate']:.2f} (goal: below 1)")
    most = {
        kind: max(levels[32][0] for name, levels in results.items() if name.startswith(kind))
        for kind in ("gpuhub", "httpx", "replicate")
    }
    print(f"32 in flight: gpuhub / raw httpx = {most['gpuhub'] / most['httpx']:.2f}", end=", ")
    print(f"gpuhub / replicate = {most['gpuhub'] / most['replicate']:.2f} (goal: above 1)")


def measure_all(
    title: str, place: str, given: object, endpoint: Any, theirs: Measure, workspace: Any
) -> None:
    """Compare the ways to one endpoint."""
    document = {"input": given}
    with httpx.Client(**SETTINGS) as client, asyncio.Runner() as runner:
        loop_client = httpx.AsyncClient(**SETTINGS)
        compare(
            title,
            {
                "httpx": from_threads(lambda: client.post(place, json=document).json()),
                "gpuhub": from_threads(lambda: endpoint.invoke(number=1)),
                "replicate": theirs,
                "httpx, loop": from_loop(runner, lambda: loop_client.post(place, json=document)),
                "gpuhub, loop": from_loop(runner, lambda: endpoint.invoke_async(number=1)),
            },
        )
        runner.run(loop_client.aclose())
        runner.run(workspace.close_async())


def opened(folder: Path, urls: dict[str, str]) -> gpuhub.Workspace:
    """Open a workspace on the emulator."""
    return gpuhub.Workspace(
        provider="replicate",
        app="bench",
        root=folder,
        provider_options=urls,
        environ={"REPLICATE_API_TOKEN": "made-up", "GPUHUB_STATE_DIR": str(folder / "state")},
    )


def hosted(folder: Path, urls: dict[str, str]) -> None:
    """Measure a hosted model."""
    given = {"number": 1}
    workspace = opened(folder, urls)
    endpoint = gpuhub.Endpoint.connect(f"replicate://{MODEL}", workspace=workspace)
    place, url = f"{urls['api_url']}/models/{MODEL}/predictions", urls["registry_url"]
    with in_vendors_client(url, MODEL, given, 2, is_deployment=False) as theirs:
        measure_all("a hosted model", place, given, endpoint, theirs, workspace)


def deployed(folder: Path, urls: dict[str, str], username: str) -> None:
    """Measure a function of one's own, in Cog's real server."""
    workspace = opened(folder, urls)
    scaling = gpuhub.Scaling(min_workers=1, max_workers=1, concurrency=32)
    double = project(folder, PROJECT).double
    function = gpuhub.function(scaling=scaling)(double).in_workspace(workspace)
    endpoint = function.deploy()
    path = f"{username}/{endpoint.ref.address.rpartition('/')[2]}"
    place, url = f"{urls['api_url']}/deployments/{path}/predictions", urls["registry_url"]
    given, expected = {"payload": '{"number":1}'}, '{"result":2}'
    with in_vendors_client(url, path, given, expected, is_deployment=True) as theirs:
        measure_all("a function in Cog's server", place, given, endpoint, theirs, workspace)


def main() -> None:
    """Play Replicate and measure."""
    with played(EMULATOR) as line, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        urls, username = json.loads(line)
        (folder / "gpuhub.toml").write_text('app = "bench"\n')
        hosted(folder, urls)
        deployed(folder, urls, username)


if __name__ == "__main__":
    main()
