"""The example runs without an account, and sends nothing."""

from __future__ import annotations

from tests.adapters.examples import run_example


def test_the_example_plans(tmp_path):
    """It prints both plans and asks for a key."""
    said = run_example("runpod_worker.py", tmp_path)
    assert "example-distances: inline" in said
    assert "RunPod keeps no order" in said
    assert said.endswith("set RUNPOD_API_KEY to deploy them\n")
