"""A laboratory: Beam's adapter in a workspace, and a gateway that a test scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.adapters.beam.answers import WORKSPACE
from tests.adapters.laboratory import Lab, laboratories


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Make laboratories; arguments are Beam's settings."""
    token = {"BEAM_TOKEN": "beam_SECRET"}
    with laboratories("beam", tmp_path, token, workspace=WORKSPACE) as make:
        yield make
