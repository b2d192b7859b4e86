"""The pytest plugin, as other projects meet it: in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(200)

STRANGER = """
from types import SimpleNamespace
import gpuhub_mock
from gpuhub_mock import INFO, create, contract_emulator
"""
SUITE = """
import pytest
from gpuhub.testing.contract import AdapterContract

class TestStranger(AdapterContract):
    adapter = "stranger"

    @pytest.mark.contract_xfail(reason="planted")
    def test_a_text_that_is_no_call_id(self, bench):
        {body}
"""


@pytest.fixture
def run(tmp_path):
    """Run pytest in an empty project that has the package ``stranger``."""
    (tmp_path / "stranger.py").write_text(STRANGER)

    def run(*arguments, **files):
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )

    return run


PICKED = "test_what_is_deployed_answers or test_a_setting_is_carried"


@pytest.mark.slow
def test_the_option_alone_runs_the_suite(run):
    """Without further arguments: the suite, and not the project's own tests."""
    result = run("--gpuhub-adapter", "stranger", "-k", PICKED, test_own="def test_own(): 1 / 0\n")
    assert result.returncode == 0, result.stdout
    assert "test_own" not in result.stdout
    assert " passed" in result.stdout


@pytest.mark.slow
def test_the_option_adds_the_suite_to_what_is_named(run):
    """With arguments, the suite comes on top."""
    own = "def test_what_is_deployed_answers(): pass\n"
    result = run(
        "--gpuhub-adapter=stranger:create",
        *("test_own.py", "-k", "test_what_is_deployed_answers"),
        test_own=own,
    )
    assert result.returncode == 0, result.stdout
    assert "4 passed" in result.stdout


@pytest.mark.slow
def test_an_adapter_that_is_not_there(run):
    """One clear line instead of hundreds of errors."""
    result = run("--gpuhub-adapter", "nobody_has_this")
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "nobody_has_this cannot be imported" in result.stderr + result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "counts"),
    [("assert bench is None", "3 xfailed"), ("assert bench", "3 failed")],
)
def test_a_known_failure_is_strict(run, body, counts):
    """While it fails it is kept in view; once it passes, the mark has to go."""
    result = run(
        "-k",
        "no_call_id or overridden_or_removed",
        test_stranger=SUITE.format(body=body),
    )
    assert counts in result.stdout
    assert "1 passed" in result.stdout


def test_loading_the_plugin_is_light():
    """It is loaded in every project's tests: no pydantic, no httpx, no suite."""
    code = (
        "import sys, gpuhub.testing.plugin; print(*[name for name in"
        " ('pydantic', 'httpx', 'sqlite3', 'rich', 'gpuhub.testing.contract', 'gpuhub.workspace')"
        " if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=180
    )
    assert result.stdout.strip() == ""
