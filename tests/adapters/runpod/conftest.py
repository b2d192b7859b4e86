"""A laboratory: RunPod's adapter in a workspace, and answers that a test scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters import laboratory
from tests.adapters.needed import published, validator


class Lab(laboratory.Lab):
    """One workspace with RunPod."""

    def body(self, **settings: Any) -> dict[str, Any]:
        """Give what a first deploy sends."""
        steps = {"gpuhub": {"fingerprint": "f" * 64}, "volumes": {"models": "vol1"}}
        body: dict[str, Any] = self.plan(**settings).request("create", steps).json
        return body


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Make laboratories; arguments are RunPod's settings."""
    key = {"RUNPOD_API_KEY": "rpa_SECRET"}
    with laboratory.laboratories("runpod", tmp_path, key, kind=Lab) as make:
        yield make


@pytest.fixture(scope="session")
def validate() -> Callable[[str, Any], list[str]]:
    """Compare a JSON value with a schema of RunPod's REST v2 document; gives the problems."""
    return validator(published("runpod-rest-v2-openapi.json"))
