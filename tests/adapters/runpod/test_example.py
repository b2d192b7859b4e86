"""The example runs without an account, and sends nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "runpod_worker.py"


def test_the_example_plans(tmp_path):
    """It prints both plans and asks for a key."""
    environment = {name: text for name, text in os.environ.items() if name != "RUNPOD_API_KEY"}
    ran = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE],
        cwd=tmp_path,
        env={**environment, "GPUHUB_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "example-distances: inline" in ran.stdout
    assert "RunPod keeps no order" in ran.stdout
    assert ran.stdout.endswith("set RUNPOD_API_KEY to deploy them\n")
