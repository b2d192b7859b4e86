"""The example runs without an account and without the SDK, and sends nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "modal_worker.py"


def test_the_example_plans(tmp_path):
    """It prints what each function becomes, and asks for a token."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("MODAL_")}
    ran = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE],
        cwd=tmp_path,
        env={**kept, "GPUHUB_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "example-distances: call, {'gpu_config': [{'gpu_type': 'H100!'" in ran.stdout
    assert "example-squares: batch, {}" in ran.stdout
    assert "gpu: approximate: A100 means A100-40GB here" in ran.stdout
    assert "scaling.idle_timeout: approximate: Modal takes whole seconds" in ran.stdout
    assert ran.stdout.endswith("set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET to deploy them\n")
