"""Debian's docker-registry behind the emulator: it keeps the images, skopeo reads them there."""

from __future__ import annotations

import hashlib
import json

import pytest

import gpuhub
from gpuhub_replicate.emulator import EmulatorOptions, ReplicateEmulator
from tests.adapters.replicate.emulator.conftest import Account
from tests.registry.conftest import start_registry  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def registry(start_registry):  # noqa: F811 - that fixture
    """Open to everybody on this machine."""
    return start_registry("")


@pytest.fixture
def options(registry):
    """It is behind the emulator's own."""
    return EmulatorOptions(registry_upstream=f"http://{registry.address}")


def test_what_is_pushed_is_there(account: Account, registry):
    """And runs; the rules of Replicate hold nevertheless."""
    answer = account.registry.post("gpuhub-tester/tested/blobs/uploads/")
    assert answer.json()["errors"][0]["code"] == "NAME_UNKNOWN"
    deployed = account.deployment()
    assert deployed.run("hi")["output"] == "hi"
    image = f"docker://{registry.address}/gpuhub-tester/tested"
    raw = registry.skopeo("inspect", "--tls-verify=false", "--raw", f"{image}:latest")
    assert hashlib.sha256(raw.encode()).hexdigest() == deployed.version
    refused = account.push(labels={})
    assert refused.json()["errors"][0]["code"] == "MANIFEST_INVALID"
    account.model("second")
    refused = account.push(path="gpuhub-tester/second")
    assert refused.json()["errors"][0]["code"] == "MANIFEST_INVALID"


def test_gpuhub_pushes_through_it(registry, gpuhub_contract_project, tmp_path):
    """The version's id is the digest that skopeo sees; a second deploy uploads nothing."""
    options = EmulatorOptions(registry_upstream=f"http://{registry.address}", username="ann")
    with ReplicateEmulator(options) as emulator:
        workspace = gpuhub.Workspace(
            "replicate",
            app="demo",
            root=gpuhub_contract_project.root,
            provider_options=dict(emulator.start()),
            environ={"REPLICATE_API_TOKEN": "made-up", "GPUHUB_STATE_DIR": str(tmp_path / "s")},
            clock=emulator.clock,
        )
        function = gpuhub.function()(gpuhub_contract_project.functions.combine)
        endpoint = function.in_workspace(workspace).deploy()
        assert endpoint.invoke(1, scale=2) == 22
        name = endpoint.ref.address.rpartition("/")[2]
        image = f"docker://{registry.address}/ann/{name}:latest"
        seen = json.loads(registry.skopeo("inspect", "--tls-verify=false", image))
        assert seen["Digest"] == f"sha256:{endpoint.version}"
        assert seen["Labels"]["run.cog.version"]
        assert seen["Architecture"] == "amd64"
        mark = len(list(emulator.requests))
        function.in_workspace(workspace).deploy()
        assert not [each for each in list(emulator.requests)[mark:] if each.operation == "push"]
        workspace.close()
