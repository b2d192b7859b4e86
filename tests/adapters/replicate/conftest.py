"""A laboratory: Replicate's adapter in a workspace, and answers that a test scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpuhub.bundle import Bundle
from gpuhub_replicate.emulator import ReplicateEmulator
from tests.adapters.laboratory import Lab, laboratories


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Make laboratories; arguments are Replicate's settings."""
    with laboratories("replicate", tmp_path, {"REPLICATE_API_TOKEN": "r8_SECRET"}) as make:
        yield make


@pytest.fixture
def provider() -> Iterator[ReplicateEmulator]:
    """Replicate on this machine, with quick workers; not started."""
    emulator = ReplicateEmulator()
    yield emulator
    emulator.stop()


@pytest.fixture
def plant(make_lab: Callable[..., Lab], provider: ReplicateEmulator) -> Lab:
    """A laboratory on that emulator."""
    return make_lab(**provider.start())


@pytest.fixture
def echo(bundle_of: Callable[[str], Bundle]) -> Bundle:
    """The bundle of a function that gives its argument back."""
    return bundle_of("echo")
