"""A hundred thousand inputs: in order, and in bounded memory."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "bench_calls.py"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_long_map_stays_small():
    """In a process of its own, whose peak of memory is the map's."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARK)], capture_output=True, text=True, check=True
    )
    found = re.search(r"map of 100,000: .* out of order 0, memory grown ([\d.]+) MB", done.stdout)
    assert found, done.stdout
    assert float(found[1]) < 50
