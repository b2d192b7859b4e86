"""Two gateways in one process: gpuhub keeps them apart; the SDK has one channel for all."""

from __future__ import annotations

import pytest

import gpuhub_beam
from gpuhub._function import function
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_beam.emulator import BeamEmulator, EmulatorOptions
from tests.vendor.beam.conftest import TOKEN
from tests.vendor.sides import workspace_on

pytestmark = [pytest.mark.sdk, pytest.mark.slow]


@pytest.fixture
def gateways():
    """Two, each with its own token."""
    made = [
        BeamEmulator(EmulatorOptions(cold_start_s=0.05, tokens=frozenset({TOKEN})), SystemClock())
        for _ in range(2)
    ]
    yield made
    for each in made:
        each.stop()


def test_two_workspaces_share_nothing(gateways, gpuhub_contract_project, tmp_path):
    """Each function goes to its own gateway, deployed, called, listed and deleted there."""
    project, token = gpuhub_contract_project, {"BEAM_TOKEN": TOKEN}
    first, second = (
        workspace_on(gateway, gpuhub_beam, project, token, tmp_path / f"state-{number}")
        for number, gateway in enumerate(gateways)
    )
    variable = project.functions.variable
    endpoints = [
        function(env={"CONTRACT_PLACE": place})(variable).in_workspace(workspace).deploy()
        for workspace, place in ((first, "first"), (second, "second"))
    ]
    assert [each.invoke("CONTRACT_PLACE") for each in endpoints] == ["first", "second"]
    calls = [each.spawn("CONTRACT_PLACE") for each in endpoints]
    assert [call.result(timeout=30) for call in calls] == ["first", "second"]
    for gateway in gateways:
        operations = [each.operation for each in gateway.requests]
        assert operations.count("deploy") == 2
        assert gateway.orphans() == []
    endpoints[0].delete()
    assert endpoints[1].invoke("CONTRACT_PLACE") == "second"
    assert [each for each in gateways[0].workspace.deployments if not each.is_deleted] == []
    first.close()
    second.close()
