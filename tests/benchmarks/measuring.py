"""What the benchmarks share: a provider in a process of its own, clocks around calls, a table.

Everything compared is measured in one run: only ratios mean something on a shared machine.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

RAW: dict[str, Any] = {
    "headers": {"Authorization": "Bearer made-up"},
    "limits": httpx.Limits(max_connections=300, max_keepalive_connections=300),
    "timeout": 60,
    "trust_env": False,
}
"""Settings of a raw httpx client with as many connections as calls in flight."""

Measured = tuple[float, list[float]]
"""Calls per second, and the seconds of each."""
Found = tuple[float, float]
"""Calls per second, and their median seconds."""


def found(measured: Measured) -> Found:
    """Give the median of what was measured."""
    rate, times = measured
    return rate, statistics.median(times)


@contextmanager
def played(script: str, *arguments: str) -> Iterator[str]:
    """Play a provider in a process of its own, until its standard input ends.

    Args:
        script: Starts it, prints one line about it, reads its standard input and stops it.
        arguments: Of the script.

    Yields:
        The line.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
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
        process.wait(20)


def ask_vendor(python: str | Path, script: str, given: object, **environ: str) -> str:
    """Run a script over a vendor's client, with JSON as its input; give what it prints."""
    done = subprocess.run(
        [python, "-W", "ignore", "-c", script],
        input=json.dumps(given),
        env={"PATH": os.defpath, "HOME": "/nonexistent", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def project(folder: Path, code: str) -> Any:
    """Write a module that is deployed, and import it."""
    (folder / "bench_project.py").write_text(code, encoding="utf-8")
    sys.path.insert(0, str(folder))
    sys.modules.pop("bench_project", None)
    importlib.invalidate_caches()
    return importlib.import_module("bench_project")


def seconds_of(call: Callable[[], object]) -> float:
    """Measure one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def one_by_one(call: Callable[[], object], count: int, warm: int) -> Measured:
    """Measure one call after another, behind some that are not."""
    times = [seconds_of(call) for _ in range(warm + count)][warm:]
    return count / sum(times), times


def by_turns(*calls: Callable[[int], object], count: int, warm: int) -> list[float]:
    """Median seconds of each, the calls taking turns: what else the machine does hits all alike.

    Args:
        calls: Take the number of the turn.
        count: Turns that are measured.
        warm: Turns before them.
    """
    times: list[list[float]] = [[] for _ in calls]
    for number in range(warm + count):
        for call, taken in zip(calls, times, strict=True):
            began = time.perf_counter()
            call(number)
            taken.append(time.perf_counter() - began)
    return [statistics.median(taken[warm:]) for taken in times]


def in_threads(call: Callable[[], object], level: int, count: int, warm: int = 0) -> Measured:
    """Measure calls from so many threads, which make some before."""
    with ThreadPoolExecutor(level) as threads:
        list(threads.map(lambda _: call(), range(warm)))
        began = time.perf_counter()
        times = list(threads.map(lambda _: seconds_of(call), range(count)))
        return count / (time.perf_counter() - began), times


async def on_loop(
    call: Callable[[], Awaitable[object]], level: int, count: int, warm: int = 0
) -> Measured:
    """The same from so many tasks of one loop."""
    times: list[float] = []

    async def worker(calls: int) -> None:
        for _ in range(calls):
            began = time.perf_counter()
            await call()
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(worker(warm // level) for _ in range(level)))
    times.clear()
    began = time.perf_counter()
    await asyncio.gather(*(worker(count // level) for _ in range(level)))
    return len(times) / (time.perf_counter() - began), times


def table(title: str, rows: Mapping[str, Mapping[int, Found]]) -> None:
    """Print what was found, by name and by the number of calls in flight."""
    levels = next(iter(rows.values()))
    print(f"{title:26}" + "".join(f"{level:>6} in flight: /s, p50 ms" for level in levels))
    for name, each in rows.items():
        cells = (f"{rate:>17,.0f}, {1e3 * median:>7.2f}" for rate, median in each.values())
        print(f"{name:26}" + "".join(cells))
