"""Baseten's own clients and gpuhub, each on the same emulator."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

import gpuhub_baseten
from gpuhub._function import function
from gpuhub._web import web
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub.workspace import Workspace
from gpuhub_baseten.emulator import BasetenEmulator, EmulatorOptions, TrussMissing, truss_python

CLIENT = Path(__file__).with_name("client.py")
KEY = "made-up-key"
NOWHERE = "http://127.0.0.1:9"


def absent(message):
    """Skip and say why; in CI the environment must be there."""
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def python():
    """An interpreter with truss, its server's packages, and baseten."""
    try:
        return truss_python()
    except TrussMissing as missing:
        return absent(str(missing))


class Vendor:
    """Baseten's clients, in a process of its own."""

    def __init__(self, emulator, python, home):
        self._emulator = emulator
        self._python = python
        self._home = home

    def do(self, *steps):
        """Do some steps; give their results."""
        environment = {
            "HOME": str(self._home),
            "PATH": os.defpath,
            "EMULATOR_URL": self._emulator.url,
            "BASETEN_API_KEY": KEY,
            "BASETEN_TRUSS_AUTH_REMOTE_URL": self._emulator.url,
            "BASETEN_TRUSS_AUTH_API_KEY": KEY,
            "USER_TRUSSRC_PATH": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            # Whatever would go to another host meets a closed door instead.
            "HTTP_PROXY": NOWHERE,
            "HTTPS_PROXY": NOWHERE,
            "NO_PROXY": "127.0.0.1",
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
        return json.loads(done.stdout.splitlines()[-1])


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
    return Vendor(emulator, python, tmp_path)


class Ours:
    """gpuhub on the same emulator."""

    def __init__(self, workspace, project, emulator):
        self.workspace = workspace
        self.project = project
        self._emulator = emulator

    def function(self, name, **settings):
        """Decorate a function of the contract's project."""
        target = getattr(self.project.functions, name)
        return function(**settings)(target).in_workspace(self.workspace)

    def deploy(self, name, **settings):
        """Deploy a function of the contract's project; give its endpoint."""
        return self.function(name, **settings).deploy()

    def deploy_web(self, name, **settings):
        """Deploy an application of the contract's project; give its endpoint."""
        target = getattr(self.project.functions, name)
        return web(**settings)(target).in_workspace(self.workspace).deploy()

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
    environ = {"BASETEN_API_KEY": KEY, "GPUHUB_STATE_DIR": str(tmp_path / "state")}
    workspace = Workspace(
        "baseten",
        app="contract",
        root=gpuhub_contract_project.root,
        provider_options=dict(emulator.start()),
        adapters={"baseten": gpuhub_baseten},
        environ=environ,
    )
    yield Ours(workspace, gpuhub_contract_project, emulator)
    workspace.close()
