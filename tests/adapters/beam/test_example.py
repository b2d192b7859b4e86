"""The example runs without an account, and sends nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "beam_worker.py"


def test_the_example_plans(tmp_path):
    """It prints what each function becomes, and asks for a token."""
    environment = {name: text for name, text in os.environ.items() if name != "BEAM_TOKEN"}
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
    assert "example-distances: endpoint and taskqueue" in ran.stdout
    assert "example-survey: taskqueue: a call may take 1800 s" in ran.stdout
    assert "scaling.idle_timeout: approximate: Beam takes whole seconds" in ran.stdout
    assert ran.stdout.endswith("set BEAM_TOKEN to deploy them\n")
