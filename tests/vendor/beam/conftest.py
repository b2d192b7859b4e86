"""Beta9's own SDK and gpuhub, each on the same emulator."""

from __future__ import annotations

import importlib.util
import json
import sys
import textwrap
from pathlib import Path

import pytest

import gpuhub_beam
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_beam.emulator import BeamEmulator, Beta9Missing, EmulatorOptions, beta9_python
from tests.adapters.needed import present
from tests.vendor.sides import Ours, run_client, workspace_on

CLIENT = Path(__file__).with_name("client.py")
TOKEN = "made-up-token-of-a-length-that-the-sdk-takes-for-a-token-64-chars"


def python_of_beta9():
    """Give an interpreter with the SDK, or skip and say how to make one; in CI it is there."""
    if importlib.util.find_spec("beta9") is not None:
        return Path(sys.executable)
    return present(beta9_python, Beta9Missing)


class Vendor:
    """Beta9's SDK, in a process of its own with a home of its own."""

    def __init__(self, emulator, python, folder):
        self._emulator = emulator
        self._python = python
        self._folder = folder
        self.project = folder / "project"
        for each in ("project", "home"):
            (folder / each).mkdir()

    def write(self, name, text):
        """Put a module into the project."""
        (self.project / name).write_text(textwrap.dedent(text))

    def do(self, *steps, token=TOKEN):
        """Do some steps; give their results."""
        host, _, port = self._emulator.grpc_address.partition(":")
        environ = {
            "HOME": str(self._folder / "home"),
            "BETA9_TOKEN": token,
            "BETA9_GATEWAY_HOST": host,
            "BETA9_GATEWAY_PORT": port,
            "BETA9_API_URL": self._emulator.url,
            "BETA9_NO_INPUT": "1",
        }
        results = self._folder / "results.json"
        results.unlink(missing_ok=True)
        command = [self._python, "-W", "ignore", CLIENT, results]
        run_client(command, environ, steps, cwd=self.project)
        return json.loads(results.read_text())


@pytest.fixture
def options():
    """How the emulator behaves: one token, and gRPC for the SDK."""
    return EmulatorOptions(cold_start_s=0.05, tokens=frozenset({TOKEN}), serves_grpc=True)


@pytest.fixture
def emulator(options):
    """One in real time."""
    python_of_beta9()
    played = BeamEmulator(options, SystemClock())
    played.start()
    yield played
    played.stop()


@pytest.fixture
def vendor(emulator, tmp_path):
    """The SDK, in an empty project."""
    folder = tmp_path / "vendor"
    folder.mkdir()
    return Vendor(emulator, python_of_beta9(), folder)


@pytest.fixture
def ours(emulator, gpuhub_contract_project, tmp_path):
    """A workspace on the emulator."""
    project, token = gpuhub_contract_project, {"BEAM_TOKEN": TOKEN}
    workspace = workspace_on(emulator, gpuhub_beam, project, token, tmp_path / "state")
    yield Ours(workspace, project)
    workspace.close()
