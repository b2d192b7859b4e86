"""The suite has teeth: each adapter that is broken on purpose is caught by a named test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.broken.cases import CASES

ROOT = Path(__file__).parents[2]
RUN = "tests/contract/broken/run_cases.py"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Run all cases in one process; ``(class, parameters) -> (outcome, text)``."""
    report = tmp_path_factory.mktemp("teeth") / "report.jsonl"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TEETH_REPORT": str(report)}
    command = [sys.executable, "-m", "pytest", RUN, "-q", "-p", "tests.contract.broken.reporter"]
    subprocess.run(
        [*command, "-p", "no:cacheprovider", "--timeout=60"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
        timeout=540,
    )
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    return {(line["class"], line["parameters"]): line for line in lines}


def of_case(results, name, case):
    """Give mode -> result of one class, where the parameter is the case's."""
    start = f"{case.parameter}-" if case.parameter else ""
    return {
        parameters.removeprefix(start): line
        for (owner, parameters), line in results.items()
        if owner == name and parameters.startswith(start)
    }


@pytest.mark.slow
@pytest.mark.timeout(600)  # the first one runs all
@pytest.mark.parametrize(
    ("number", "case"),
    list(enumerate(CASES)),
    ids=[f"{case.adapter.__name__}-{case.test}" for case in CASES],
)
def test_a_broken_adapter_is_caught(results, number, case):
    """The named test fails in the right words, and passes on what is not broken."""
    broken = of_case(results, f"TestBroken{number}", case)
    whole = of_case(results, f"TestWhole{number}", case)
    assert broken.keys() == whole.keys()
    assert set(case.modes) <= broken.keys(), f"ran in {sorted(broken)}"
    for mode, line in broken.items():
        if mode in case.modes:
            assert line["outcome"] == "failed", f"{mode}: {case.test} did not notice"
            assert case.words in line["text"], f"{mode}: {line['text'][-3000:]}"
        else:
            assert line["outcome"] == "passed", f"{mode}: {line['text'][-3000:]}"
    problems = {mode: line["text"][-3000:] for mode, line in whole.items() if line["text"]}
    assert not problems
