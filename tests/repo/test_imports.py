"""What importing costs and needs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from statistics import median

import pytest

DECORATED = """
import gpuhub

@gpuhub.function(gpu="A100-80GB", timeout=60)
def double(number: int) -> int:
    return number * 2
"""
ONE_MODEL = """
from pydantic import BaseModel

class Double(BaseModel):
    number: int
"""
DEFERRED = [
    *("httpx", "httpcore", "aiohttp", "tenacity", "rich", "typer", "click", "sqlite3"),
    *("starlette", "uvicorn", "watchfiles", "fsspec", "numpy"),
    *("modal", "runpod", "replicate", "cog", "truss", "baseten", "beta9", "beam"),
]
TOLD = """
import time
print(time.process_time())
"""
STARTUP_RATIO = 1.5
ROUNDS, RUNS = 3, 7

SDKS = {"modal", "runpod", "replicate", "cog", "truss", "baseten", "beta9", "beam"}
BROUGHT_BY_THE_USER = {("worker", "numpy"), ("testing", "pytest")}
NEWER_PYTHON = {"annotationlib"}
PART_OF = {"pydantic-core": "pydantic"}
"""Distributions that another one pins exactly and documents as its own part."""


def python(*arguments: str | Path) -> str:
    """Run Python in a process of its own and give what it prints."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def seconds(script: Path) -> float:
    """Time one run of a script: the processor's time, whatever else it does meanwhile."""
    return float(python(script))


@pytest.fixture
def scripts(tmp_path: Path) -> tuple[Path, Path]:
    """A script that decorates a function, and one that defines a model; they tell their time."""
    decorated, model = tmp_path / "decorated.py", tmp_path / "model.py"
    decorated.write_text(DECORATED + TOLD)
    model.write_text(ONE_MODEL + TOLD)
    return decorated, model


def test_decorating_imports_little(tmp_path):
    """`import gpuhub` and one decorated function load no HTTP, CLI, database or SDK."""
    script = tmp_path / "app.py"
    script.write_text(f"{DECORATED}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))\n")
    loaded = {name.partition(".")[0] for name in json.loads(python(script))}
    assert "gpuhub" in loaded
    assert not loaded & set(DEFERRED)


def test_the_bare_import_loads_nothing(tmp_path):
    """`import gpuhub` alone does not even load pydantic."""
    script = tmp_path / "bare.py"
    script.write_text("import sys, gpuhub\nprint('pydantic' in sys.modules)\n")
    assert python(script) == "False\n"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_decorating_starts_fast(scripts):
    """It takes at most 1.5 times as long as defining one pydantic model, in the same run.

    Runs alternate; the best round counts, so that a busy machine does not decide.
    """
    ratios = []
    for script in scripts:
        python(script)  # writes the bytecode
    for _ in range(ROUNDS):
        pairs = [tuple(seconds(script) for script in scripts) for _ in range(RUNS)]
        ratios.append(median(pair[0] for pair in pairs) / median(pair[1] for pair in pairs))
        if ratios[-1] <= STARTUP_RATIO:
            break
    assert min(ratios) <= STARTUP_RATIO, f"ratios: {', '.join(f'{ratio:.2f}' for ratio in ratios)}"


def imported(tree: ast.AST) -> Iterator[str]:
    """Give the top-level names of everything that is imported, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def normal(name: str) -> str:
    """Give a distribution's name in its one true spelling."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", name)[0]).lower()


def test_every_import_is_declared(sources, root, project):
    """What the library imports is a dependency or in an extra, not a lucky by-product."""
    tables = project["project"]
    declared = {normal(line) for line in tables["dependencies"]}
    for lines in tables["optional-dependencies"].values():
        declared |= {normal(line) for line in lines}
    providers = packages_distributions()
    own = {"gpuhub", *(path.name for path in (root / "adapters").iterdir())}
    stdlib = sys.stdlib_module_names | NEWER_PYTHON
    stray = set()
    for path in sources:
        for name in set(imported(ast.parse(path.read_text()))) - stdlib - own:
            found = {normal(distribution) for distribution in providers.get(name, [name])}
            distributions = {PART_OF.get(distribution, distribution) for distribution in found}
            place = path.relative_to(root).parts[1]
            optional = name in SDKS or (place, name) in BROUGHT_BY_THE_USER
            if not optional and not distributions & declared:
                stray.add((str(path.relative_to(root)), name))
    assert not stray
