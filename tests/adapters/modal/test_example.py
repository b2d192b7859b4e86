"""The example runs without an account and without the SDK, and sends nothing."""

from __future__ import annotations

from tests.adapters.examples import run_example


def test_the_example_plans(tmp_path):
    """It prints what each function becomes, and asks for a token."""
    said = run_example("modal_worker.py", tmp_path)
    assert "example-distances: call, {'gpu_config': [{'gpu_type': 'H100!'" in said
    assert "example-squares: batch, {}" in said
    assert "gpu: approximate: A100 means A100-40GB here" in said
    assert "scaling.idle_timeout: approximate: Modal takes whole seconds" in said
    assert said.endswith("set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET to deploy them\n")
