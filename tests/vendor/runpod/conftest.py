"""RunPod's own client and ours, each on the same emulator."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gpuhub_runpod
from gpuhub._function import function
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub.workspace import Workspace
from gpuhub_runpod.emulator import EmulatorOptions, RunPodEmulator, SdkMissing, sdk_python

CLIENT = Path(__file__).with_name("client.py")
NEXT = Path(__file__).parents[3] / ".venv-runpod-next/bin/python"
KEY = "made-up-key"


def python_of(version):
    """Give an interpreter with the client, or skip and say how to make one; in CI it is there."""
    if version == 1 and importlib.util.find_spec("runpod") is not None:
        return Path(sys.executable)
    try:
        python = sdk_python() if version == 1 else NEXT
    except SdkMissing as missing:
        return _absent(str(missing))
    if python.is_file():
        return python
    return _absent(
        f"{python} is missing: UV_PROJECT_ENVIRONMENT=.venv-runpod-next "
        "uv sync --no-default-groups --no-install-project --group vendor-runpod-next"
    )


def _absent(message):
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


class Vendor:
    """RunPod's client, in a process of its own."""

    def __init__(self, emulator, python, home):
        self._emulator = emulator
        self._python = python
        self._home = home

    def do(self, *steps):
        """Do some steps; give their results."""
        environment = {
            "HOME": str(self._home),
            "PATH": os.defpath,
            "RUNPOD_API_KEY": KEY,
            "RUNPOD_API_BASE_URL": self._emulator.url,
            "RUNPOD_ENDPOINT_BASE_URL": f"{self._emulator.url}/v2",
        }
        done = subprocess.run(
            [self._python, CLIENT],
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
def emulator():
    """One that only knows one key, in real time, with short cold starts."""
    rights = frozenset({"read", "write", "invoke"})
    options = EmulatorOptions(cold_start_s=0.05, api_keys={KEY: rights})
    played = RunPodEmulator(options, SystemClock())
    played.start()
    yield played
    played.stop()


@pytest.fixture
def vendor(emulator, tmp_path):
    """Version 1 of RunPod's client."""
    return Vendor(emulator, python_of(1), tmp_path)


@pytest.fixture
def vendor_next(emulator, tmp_path):
    """Version 2 of RunPod's client, a release candidate: it speaks REST v2."""
    return Vendor(emulator, python_of(2), tmp_path)


class Ours:
    """gpuhub on the same emulator."""

    def __init__(self, workspace, project):
        self.workspace = workspace
        self.project = project

    def deploy(self, name, **settings):
        """Deploy a function of the contract's project; give its endpoint."""
        target = getattr(self.project.functions, name)
        return function(**settings)(target).in_workspace(self.workspace).deploy()


@pytest.fixture
def ours(emulator, gpuhub_contract_project, tmp_path):
    """A workspace on the emulator."""
    environ = {"RUNPOD_API_KEY": KEY, "GPUHUB_STATE_DIR": str(tmp_path / "state")}
    workspace = Workspace(
        "runpod",
        app="contract",
        root=gpuhub_contract_project.root,
        provider_options=dict(emulator.start()),
        adapters={"runpod": gpuhub_runpod},
        environ=environ,
    )
    yield Ours(workspace, gpuhub_contract_project)
    workspace.close()
