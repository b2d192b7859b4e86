"""Baseten's own clients and gpuhub, each on the same emulator."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

import gpuhub_baseten
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_baseten.emulator import BasetenEmulator, EmulatorOptions, TrussMissing, truss_python
from tests.adapters.needed import present
from tests.vendor import sides
from tests.vendor.sides import Vendor, workspace_on

CLIENT = Path(__file__).with_name("client.py")
KEY = "made-up-key"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def python():
    """An interpreter with truss, its server's packages, and baseten."""
    return present(truss_python, TrussMissing)


@pytest.fixture
def options():
    """Quick rollouts, quick replicas, and one key only."""
    return EmulatorOptions(
        build_s=0.05,
        deploy_s=0.05,
        cold_start_s=0.05,
        api_keys={KEY: frozenset({"manage", "invoke"})},
    )


@pytest.fixture
def emulator(options):
    """In real time."""
    played = BasetenEmulator(options, SystemClock())
    played.start()
    yield played
    played.stop()


@pytest.fixture
def vendor(emulator, python, tmp_path):
    """Baseten's clients."""
    environ = {
        "HOME": str(tmp_path),
        "EMULATOR_URL": emulator.url,
        "BASETEN_API_KEY": KEY,
        "BASETEN_TRUSS_AUTH_REMOTE_URL": emulator.url,
        "BASETEN_TRUSS_AUTH_API_KEY": KEY,
        "USER_TRUSSRC_PATH": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Whatever would go to another host meets a closed door instead.
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
        "NO_PROXY": "127.0.0.1",
    }
    return Vendor([python, "-W", "ignore", CLIENT], environ)


class Ours(sides.Ours):
    """gpuhub on the same emulator, which shows what was pushed."""

    def __init__(self, workspace, project, emulator):
        super().__init__(workspace, project)
        self._emulator = emulator

    def pushed(self, endpoint):
        """Give the deployment that an endpoint points at, as the emulator has it."""
        return self._emulator.model(endpoint.ref.address.partition("/")[0]).production

    def unpacked(self, endpoint, folder):
        """Unpack what was pushed for an endpoint; give the folder."""
        with tarfile.open(self.pushed(endpoint).archive) as tar:
            tar.extractall(folder, filter="data")
        return folder


@pytest.fixture
def ours(emulator, gpuhub_contract_project, tmp_path):
    """A workspace on the emulator."""
    project, key = gpuhub_contract_project, {"BASETEN_API_KEY": KEY}
    workspace = workspace_on(emulator, gpuhub_baseten, project, key, tmp_path / "state")
    yield Ours(workspace, project, emulator)
    workspace.close()
