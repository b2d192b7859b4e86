"""The worker runs in a bare container: Python 3.9 syntax, standard library only."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

NEWER_THAN_39 = {"tomllib"}
OPTIONAL = {"annotationlib", "numpy", "pydantic"}
"""Used when Python or the user's code brings them; never at the top of a module."""


@pytest.fixture(scope="session")
def worker(root: Path) -> list[Path]:
    """The files of gpuhub.worker."""
    found = sorted((root / "gpuhub" / "worker").rglob("*.py"))
    assert found
    return found


def imports(body: list[ast.stmt]) -> Iterator[str]:
    """Give the modules that statements import, without looking into functions."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in ("body", "orelse", "finalbody"):
                yield from imports(getattr(node, part, []))


def test_syntax_is_that_of_python_39(worker):
    """No match statement, no exception groups, no parenthesised context managers."""
    for path in worker:
        ast.parse(path.read_text(), filename=path.name, feature_version=(3, 9))


def test_modules_import_the_standard_library_only(worker, root):
    """What loads with a module is the standard library of Python 3.9 or the worker itself."""
    allowed = sys.stdlib_module_names - NEWER_THAN_39
    stray = [
        (str(path.relative_to(root)), name)
        for path in worker
        for name in imports(ast.parse(path.read_text()).body)
        if name.partition(".")[0] not in allowed and not name.startswith("gpuhub.worker")
    ]
    assert not stray


def test_functions_import_nothing_of_ours(worker, root):
    """Inside functions, what the user's image brings is fair; the rest of gpuhub is not."""
    allowed = (sys.stdlib_module_names - NEWER_THAN_39) | OPTIONAL
    stray = []
    for path in worker:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for name in imports([node]):
                    if name.startswith("gpuhub.worker") or name.partition(".")[0] in allowed:
                        continue
                    stray.append((str(path.relative_to(root)), name))
    assert not stray


def oldest_python() -> str | None:
    """Find a Python 3.9, the oldest that the worker promises to run on."""
    found = shutil.which("python3.9")
    if found and subprocess.run([found, "-V"], capture_output=True, check=False).returncode == 0:
        return found
    return None


@pytest.mark.parametrize("version", ["this Python", "Python 3.9"])
def test_it_imports_without_any_package(version, worker, root, tmp_path):
    """Every module imports on a Python that has no site-packages and no other part of gpuhub."""
    python = sys.executable if version == "this Python" else oldest_python()
    if python is None:
        pytest.skip("there is no Python 3.9 here")
    shutil.copytree(root / "gpuhub" / "worker", tmp_path / "gpuhub" / "worker")
    (tmp_path / "gpuhub" / "__init__.py").touch()
    names = [
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for path in worker
        if path.stem != "__main__"
    ]
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    code += "\n".join(f"import {name}" for name in names)
    done = subprocess.run([python, "-I", "-S", "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
