"""The example runs without an account, and sends nothing."""

from __future__ import annotations

from tests.adapters.examples import run_example


def test_the_example_plans(tmp_path):
    """It prints what each function becomes, and asks for a token."""
    said = run_example("beam_worker.py", tmp_path)
    assert "example-distances: endpoint and taskqueue" in said
    assert "example-survey: taskqueue: a call may take 1800 s" in said
    assert "scaling.idle_timeout: approximate: Beam takes whole seconds" in said
    assert said.endswith("set BEAM_TOKEN to deploy them\n")
