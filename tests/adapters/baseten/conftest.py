"""A laboratory: Baseten's adapter in a workspace, and answers that a test scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.laboratory import Lab, laboratories
from tests.adapters.needed import ROOT, absent, published, validator

VENDOR = ROOT / ".venv-baseten" / "bin" / "python"


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Make laboratories; arguments are Baseten's settings."""
    with laboratories("baseten", tmp_path, {"BASETEN_API_KEY": "bt_SECRET"}) as make:
        yield make


@pytest.fixture(scope="session")
def validate() -> Callable[[str, Any], list[str]]:
    """Compare a JSON value with a schema of the management document; gives the problems."""
    return validator(published("baseten-management-openapi.json"))


@pytest.fixture(scope="session")
def validate_inference() -> Callable[[str, Any], list[str]]:
    """The same with a schema of the inference document."""
    return validator(published("baseten-inference-openapi.json"))


@pytest.fixture(scope="session")
def vendor() -> Path:
    """A Python with Truss and Baseten's client."""
    if not VENDOR.exists():
        absent("there is no .venv-baseten with truss and baseten: NOT compared with their code")
    return VENDOR
