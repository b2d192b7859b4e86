"""A registry with a base image."""

from __future__ import annotations

import pytest

from tests.unit.oci.base_images import base_image
from tests.unit.oci.fake_registry import FakeIo, FakeRegistry, io_of


@pytest.fixture
def registry() -> FakeRegistry:
    """One that has ``me/base:1``."""
    found = FakeRegistry()
    found.store("me/base", base_image())
    return found


@pytest.fixture
def io(registry: FakeRegistry) -> FakeIo:
    """The way to it."""
    return io_of(registry)
