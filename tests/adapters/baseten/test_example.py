"""The example runs without an account, and sends nothing."""

from __future__ import annotations

from tests.adapters.examples import run_example


def test_the_example_plans(tmp_path):
    """It prints both plans and configurations and asks for a key."""
    said = run_example("baseten_worker.py", tmp_path)
    assert "example-histogram: truss" in said
    assert "a deployment has one card: not used: L4" in said
    assert "accelerator: A10G" in said
    assert said.endswith("set BASETEN_API_KEY to deploy them\n")
