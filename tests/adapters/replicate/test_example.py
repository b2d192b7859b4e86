"""The examples run without an account, and send nothing."""

from __future__ import annotations

import pytest

from tests.adapters.examples import run_example


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
    printed = run_example(name, tmp_path)
    assert printed.endswith(last)
    for words in said:
        assert words in printed
