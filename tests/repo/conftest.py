"""What the tests about the repository itself share."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def root() -> Path:
    """The top folder of the checkout."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def project(root: Path) -> dict[str, Any]:
    """The tables of pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def tracked(root: Path) -> list[Path]:
    """Files git keeps or would keep, below the top folder; skips outside a git checkout."""
    if not (root / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    paths = [Path(name) for name in names.split("\0") if name]
    return sorted(path for path in paths if (root / path).is_file())


@pytest.fixture(scope="session")
def sources(root: Path) -> list[Path]:
    """The library's Python files."""
    found = [*(root / "gpuhub").rglob("*.py"), *(root / "adapters").rglob("*.py")]
    assert len(found) > 10, "the library is not where these tests look for it"
    return sorted(found)
