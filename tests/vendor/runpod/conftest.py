"""RunPod's own client and ours, each on the same emulator."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import gpuhub_runpod
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_runpod.emulator import EmulatorOptions, RunPodEmulator, SdkMissing, sdk_python
from tests.adapters.needed import ROOT, absent, present
from tests.vendor.sides import Ours, Vendor, workspace_on

CLIENT = Path(__file__).with_name("client.py")
NEXT = ROOT / ".venv-runpod-next/bin/python"
KEY = "made-up-key"


def python_of(version):
    """Give an interpreter with the client, or skip and say how to make one; in CI it is there."""
    if version == 1 and importlib.util.find_spec("runpod") is not None:
        return Path(sys.executable)
    python = present(sdk_python, SdkMissing) if version == 1 else NEXT
    if not python.is_file():
        absent(
            f"{python} is missing: UV_PROJECT_ENVIRONMENT=.venv-runpod-next "
            "uv sync --no-default-groups --no-install-project --group vendor-runpod-next"
        )
    return python


def client_on(emulator, version, home):
    """Give RunPod's client, pointed at an emulator."""
    environ = {
        "HOME": str(home),
        "RUNPOD_API_KEY": KEY,
        "RUNPOD_API_BASE_URL": emulator.url,
        "RUNPOD_ENDPOINT_BASE_URL": f"{emulator.url}/v2",
    }
    return Vendor([python_of(version), CLIENT], environ)


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
    return client_on(emulator, 1, tmp_path)


@pytest.fixture
def vendor_next(emulator, tmp_path):
    """Version 2 of RunPod's client, a release candidate: it speaks REST v2."""
    return client_on(emulator, 2, tmp_path)


@pytest.fixture
def ours(emulator, gpuhub_contract_project, tmp_path):
    """A workspace on the emulator."""
    project, key = gpuhub_contract_project, {"RUNPOD_API_KEY": KEY}
    workspace = workspace_on(emulator, gpuhub_runpod, project, key, tmp_path / "state")
    yield Ours(workspace, project)
    workspace.close()
