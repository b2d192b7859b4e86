"""The example runs without an account, and sends nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "baseten_worker.py"


def test_the_example_plans(tmp_path):
    """It prints both plans and configurations and asks for a key."""
    environment = {name: text for name, text in os.environ.items() if name != "BASETEN_API_KEY"}
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
    assert "example-histogram: truss" in ran.stdout
    assert "a deployment has one card: not used: L4" in ran.stdout
    assert "accelerator: A10G" in ran.stdout
    assert ran.stdout.endswith("set BASETEN_API_KEY to deploy them\n")
