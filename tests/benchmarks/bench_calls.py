"""What gpuhub adds to a call: on the mock, and over raw httpx to the same server.

Run it alone: ``uv run python tests/benchmarks/bench_calls.py``. It prints ratios of one run.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.measuring import found, one_by_one

ROUNDS = 400


def median_ms(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Time one call after another; milliseconds at the median."""
    return 1e3 * found(one_by_one(call, rounds, 20))[1]


APP = """
import gpuhub

@gpuhub.function
def double(number: int) -> int:
    return 2 * number
"""


def bench_mock(folder: Path) -> None:
    """``.remote`` against the plain call, and 100,000 inputs through ``map``."""
    import gpuhub

    (folder / "bench_app.py").write_text(APP)
    sys.path.insert(0, str(folder))
    import bench_app  # type: ignore[import-not-found]

    with gpuhub.Workspace(provider="mock", root=folder, provider_options={"persist": False}):
        bench_app.double.deploy()
        plain = median_ms(lambda: bench_app.double(1))
        remote = median_ms(lambda: bench_app.double.remote(1))
        print(f"mock inline: .remote {remote:.3f} ms, plain call {plain:.4f} ms", end="; ")
        print(f"added {remote - plain:.3f} ms (limit 0.3)")
        bench_map(bench_app.double)


def bench_map(function: object, count: int = 100_000) -> None:
    """Order, rate and growth of memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    wrong = sum(
        value != 2 * at
        for at, value in enumerate(function.map(iter(range(count)), concurrency=32))  # type: ignore[attr-defined]
    )
    taken = time.perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"map of {count:,}: {count / taken:,.0f} per second, out of order {wrong}", end=", ")
    print(f"memory grown {grown:.1f} MB (limit 50)")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        bench_mock(Path(name))
