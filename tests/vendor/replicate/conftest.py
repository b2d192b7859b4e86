"""Replicate's own client and gpuhub, each on the same emulator."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import gpuhub_replicate
from gpuhub._function import function
from gpuhub.endpoint import Endpoint
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub.workspace import Workspace
from gpuhub_replicate.emulator import (
    CogletMissing,
    EmulatorOptions,
    ReplicateEmulator,
    coglet_python,
    schema_of,
)

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
    try:
        return coglet_python()
    except CogletMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


class Vendor:
    """Replicate's client, in a process of its own."""

    def __init__(self, emulator, python, home):
        self._emulator = emulator
        self._python = python
        self._home = home

    def do(self, *steps):
        """Do some steps; give their results."""
        environment = {
            "HOME": str(self._home),
            "PATH": os.defpath,
            "REPLICATE_API_TOKEN": TOKEN,
            "REPLICATE_BASE_URL": self._emulator.url,
        }
        done = subprocess.run(
            [self._python, "-W", "ignore", CLIENT],
            input=json.dumps({"steps": steps}),
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


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
    return Vendor(emulator, python, tmp_path)


class Ours:
    """gpuhub on the same emulator."""

    def __init__(self, workspace, project):
        self.workspace = workspace
        self.project = project

    def deploy(self, name, **settings):
        """Deploy a function of the contract's project; give its endpoint."""
        target = getattr(self.project.functions, name)
        return function(**settings)(target).in_workspace(self.workspace).deploy()

    def connect(self, address):
        """Connect to what somebody else deployed."""
        return Endpoint.connect(address, workspace=self.workspace)


@pytest.fixture
def ours(emulator, gpuhub_contract_project, tmp_path):
    """A workspace on the emulator."""
    environ = {"REPLICATE_API_TOKEN": TOKEN, "GPUHUB_STATE_DIR": str(tmp_path / "state")}
    workspace = Workspace(
        "replicate",
        app="contract",
        root=gpuhub_contract_project.root,
        provider_options=dict(emulator.start()),
        adapters={"replicate": gpuhub_replicate},
        environ=environ,
    )
    yield Ours(workspace, gpuhub_contract_project)
    workspace.close()
