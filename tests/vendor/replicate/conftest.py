"""Replicate's own client and gpuhub, each on the same emulator."""

from __future__ import annotations

from pathlib import Path

import pytest

import gpuhub_replicate
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_replicate.emulator import (
    CogletMissing,
    EmulatorOptions,
    ReplicateEmulator,
    coglet_python,
    schema_of,
)
from tests.adapters.needed import present
from tests.vendor.sides import Ours, Vendor, workspace_on

CLIENT = Path(__file__).with_name("client.py")
TOKEN = "made-up-token"
TEXT = schema_of({"text": {"type": "string"}}, {"type": "string"}, required=("text",))
LINES = schema_of(
    {"text": {"type": "string"}},
    {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator"},
    required=("text",),
)


@pytest.fixture(scope="session")
def python():
    """An interpreter with ``replicate`` and ``cog``; in CI it must be there."""
    return present(coglet_python, CogletMissing)


@pytest.fixture
def options():
    """Quick cold starts, and one token only."""
    return EmulatorOptions(cold_start_s=0.05, tokens=frozenset({TOKEN}))


@pytest.fixture
def emulator(options):
    """In real time."""
    played = ReplicateEmulator(options, SystemClock())
    played.start()
    yield played
    played.stop()


@pytest.fixture
def vendor(emulator, python, tmp_path):
    """Version 1 of Replicate's client."""
    environ = {
        "HOME": str(tmp_path),
        "REPLICATE_API_TOKEN": TOKEN,
        "REPLICATE_BASE_URL": emulator.url,
    }
    return Vendor([python, "-W", "ignore", CLIENT], environ)


@pytest.fixture
def ours(emulator, gpuhub_contract_project, tmp_path):
    """A workspace on the emulator."""
    project, token = gpuhub_contract_project, {"REPLICATE_API_TOKEN": TOKEN}
    workspace = workspace_on(emulator, gpuhub_replicate, project, token, tmp_path / "state")
    yield Ours(workspace, project)
    workspace.close()
