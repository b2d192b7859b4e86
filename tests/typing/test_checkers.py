"""User code in this folder, as mypy and pyright see it.

A file here is a program a user could write. A line that a checker must refuse ends in
``# expect-error: <mypy code>``: mypy must give that error there, pyright any error, and neither
may give another one anywhere. Files named ``*_pyright.py`` hold what mypy cannot see.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MARKER = re.compile(r"#\s*expect-error:\s*([\w-]+(?:\s*,\s*[\w-]+)*)\s*$")

Found = Counter[tuple[str, int, str]]
"""Number of errors by file name, line and mypy code."""


def programs() -> list[Path]:
    """Give the user code."""
    return sorted(path for path in HERE.glob("*.py") if not path.name.startswith("test_"))


def for_mypy() -> list[Path]:
    """Give the user code that mypy can judge."""
    return [path for path in programs() if not path.name.endswith("_pyright.py")]


def expected(paths: Iterable[Path]) -> Found:
    """Read the markers."""
    found: Found = Counter()
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if marker := MARKER.search(line):
                codes = marker[1].split(",")
                found.update((path.name, number, code.strip()) for code in codes)
    return found


def run_mypy(paths: Iterable[Path], cache: Path) -> Found:
    """Check as a user does: strict, without this project's settings."""
    options = ["--strict", "--output=json", f"--config-file={os.devnull}", f"--cache-dir={cache}"]
    command = [sys.executable, "-m", "mypy", *options, *map(str, paths)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return Counter(
        (Path(line["file"]).name, line["line"], line["code"])
        for line in lines
        if line["severity"] == "error"
    )


def run_pyright(project: Path) -> set[tuple[str, int]]:
    """Check as the project's pyright table says."""
    options = ["--outputjson", "--project", str(project), "--pythonpath", sys.executable]
    command = [sys.executable, "-m", "pyright", *options]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] > 0, "pyright found nothing to check"
    return {
        (Path(entry["file"]).name, entry["range"]["start"]["line"] + 1)
        for entry in report["generalDiagnostics"]
        if entry["severity"] == "error"
    }


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_mypy_agrees(pytestconfig):
    """Mypy gives the marked errors and no others."""
    cache = pytestconfig.cache.mkdir("mypy")
    found, marked = run_mypy(for_mypy(), cache), expected(for_mypy())
    assert found == marked, f"unmarked: {found - marked}; not given: {marked - found}"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_pyright_agrees():
    """Pyright gives errors on the marked lines and on no others."""
    found, marked = run_pyright(ROOT), {place[:2] for place in expected(programs())}
    assert found == marked, f"unmarked: {found - marked}; not given: {marked - found}"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_runners_see_errors(tmp_path):
    """Both checkers find a planted error where it is, and the marker says the same."""
    program = tmp_path / "planted.py"
    program.write_text("number: int = 1\nword: str = 2  # expect-error: assignment\n")
    (tmp_path / "pyrightconfig.json").write_text("{}")
    assert expected([program]) == {("planted.py", 2, "assignment"): 1}
    assert run_mypy([program], tmp_path / "cache") == {("planted.py", 2, "assignment"): 1}
    assert run_pyright(tmp_path) == {("planted.py", 2)}


@pytest.mark.parametrize(
    ("comment", "codes"),
    [
        ("# expect-error: arg-type", ["arg-type"]),
        ("#expect-error: arg-type, call-arg", ["arg-type", "call-arg"]),
        ("# expect-error:", []),
        ("# an expect-error: of words to follow", []),
    ],
)
def test_markers_are_read(tmp_path, comment, codes):
    """A marker names one or more codes at the end of a line."""
    program = tmp_path / "marked.py"
    program.write_text(f"x = 1\ny = 2  {comment}\n")
    assert expected([program]) == Counter(("marked.py", 2, code) for code in codes)
