"""The examples run without an account, and send nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize(
    ("name", "said", "last"),
    [
        (
            "replicate_worker.py",
            ["example-distances: push", "the first that Replicate lists", "idle_timeout"],
            "set REPLICATE_API_TOKEN to deploy them\n",
        ),
        ("replicate_models.py", [], "set REPLICATE_API_TOKEN to call Replicate's models\n"),
    ],
)
def test_an_example_runs(tmp_path, name, said, last):
    """It prints what it would do, and asks for a token."""
    kept = {key: text for key, text in os.environ.items() if key != "REPLICATE_API_TOKEN"}
    ran = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name],
        cwd=tmp_path,
        env={**kept, "GPUHUB_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith(last)
    for words in said:
        assert words in ran.stdout
