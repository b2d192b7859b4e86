"""What the contract suite leaves out, through gpuhub itself on the emulator."""

from __future__ import annotations

import importlib
import json
from typing import Any

import httpx
import pytest

import gpuhub
from gpuhub.adapter import CancelReceipt, Phase
from gpuhub.errors import CallExpired, CallTimedOut, DeployFailed, PayloadTooLarge
from gpuhub.scaling import Scaling
from gpuhub.testing.emulator import Fault
from gpuhub_baseten.emulator import BasetenEmulator
from tests.adapters.waiting import until

OF_LIB = """
def number(add: int) -> int:
    from lib.parts import NUMBER

    return NUMBER + add
"""
OF_FAILURE = """
import os

if os.environ.get("BREAK"):
    raise OSError("no model here")


def f() -> int:
    return 1
"""


@pytest.fixture
def emulator():
    """A provider on a virtual clock."""
    played = BasetenEmulator()
    yield played
    played.stop()


@pytest.fixture
def project(gpuhub_contract_project):
    """The contract suite's functions."""
    return gpuhub_contract_project


@pytest.fixture
def workspace(emulator, project, tmp_path):
    """On that provider, with its clock."""
    environ = {
        "BASETEN_API_KEY": "made-up-key",
        "GPUHUB_STATE_DIR": str(tmp_path / "state"),
        "LOCAL_TOKEN": "a-local-secret-value",
    }
    opened = gpuhub.Workspace(
        "baseten",
        app="demo",
        root=project.root,
        provider_options=dict(emulator.start()),
        environ=environ,
        clock=emulator.clock,
    )
    yield opened
    opened.close()


def deployed(workspace, target, **settings):
    """Decorate and deploy a function."""
    return gpuhub.function(**settings)(target).in_workspace(workspace).deploy()


def test_a_web_application_takes_any_path(workspace, project):
    """Below the sync route, with the key; its own root is Baseten's, and gpuhub's ``/web/``."""
    endpoint = gpuhub.web()(project.functions.site).in_workspace(workspace).deploy()
    assert str(endpoint.url).endswith("/production/sync")
    for path in ("/some/page", "/web/"):
        answer = httpx.get(
            f"{endpoint.url}{path}", headers=endpoint.web_headers(), timeout=60, trust_env=False
        )
        assert (answer.status_code, answer.text) == (200, f"gpuhub-contract {path}")


def test_a_project_with_names_that_truss_drops(workspace, project):
    """A folder ``lib`` and a file ``*.spec`` are there when the function runs."""
    folder = project.root / "lib"
    folder.mkdir(exist_ok=True)
    try:
        (folder / "__init__.py").write_text("")
        (folder / "parts.py").write_text("NUMBER = 42\n")
        with project.having("demo_of_lib.py", OF_LIB):
            number = importlib.import_module("demo_of_lib").number
            assert deployed(workspace, number).invoke(1) == 43
    finally:
        for each in folder.glob("*.py"):
            each.unlink()


@pytest.mark.timeout(180)
def test_the_largest_body_and_one_above(workspace, project, emulator):
    """99 MB arrive; 101 MB are refused here, before anything is sent."""
    endpoint = deployed(workspace, project.functions.size_of)
    assert endpoint.invoke("x" * 99_000_000) == 99_000_000
    before = len(emulator.requests)
    with pytest.raises(PayloadTooLarge, match="100,000,000"):
        endpoint.invoke("x" * 101_000_000)
    assert len(emulator.requests) == before


def test_a_prediction_longer_than_the_callers_budget(workspace, project, emulator):
    """The connection is closed, and the error does not claim more."""
    endpoint = deployed(workspace, project.functions.echo)
    emulator.fail("timeout")
    with pytest.raises(CallTimedOut) as caught:
        endpoint.with_options(timeout=10).invoke(1)
    assert caught.value.cancel == CancelReceipt.CHANNEL_CLOSED.value
    assert endpoint.invoke(2) == 2


def test_a_parked_request_waits_for_a_replica(workspace, project, emulator):
    """At zero a call is not refused but held; a very long cold start ends it."""
    endpoint = deployed(workspace, project.functions.echo)
    emulator.clock.advance(600)
    assert endpoint.status().workers.total == 0
    assert endpoint.invoke("parked") == "parked"
    emulator.clock.advance(600)
    emulator.fail(Fault("cold_start", delay_s=5000), on="start")
    with pytest.raises(CallTimedOut, match="1200 s"):
        endpoint.invoke("never")


def test_local_secrets_come_and_go(workspace, project, emulator):
    """Stored when deployed, gone with the deployment."""
    secret = gpuhub.Secret.from_local_env("LOCAL_TOKEN", env="APP_TOKEN")
    endpoint = deployed(workspace, project.functions.variable, secrets=secret)
    assert endpoint.invoke("APP_TOKEN") == "a-local-secret-value"
    client = httpx.Client(
        base_url=emulator.start()["api_url"],
        headers={"Authorization": "Bearer k"},
        timeout=60,
        trust_env=False,
    )
    with client:
        names = [each["name"] for each in client.get("/v1/secrets").json()["secrets"]]
        assert names == ["gpuhub-demo-variable-APP_TOKEN"]
        endpoint.delete()
        assert client.get("/v1/secrets").json()["secrets"] == []


def test_two_environments_of_one_model(workspace, project, emulator, tmp_path):
    """Each has its deployment; removing one leaves the other."""
    production = deployed(workspace, project.functions.variable, env={"PLACE": "production"})
    options = {"baseten": {"environment": "staging"}}
    function = gpuhub.function(env={"PLACE": "staging"}, options=options)
    other = gpuhub.Workspace(
        "baseten",
        app="demo",
        root=project.root,
        provider_options={**emulator.start(), "environment": "staging"},
        environ={"BASETEN_API_KEY": "made-up-key", "GPUHUB_STATE_DIR": str(tmp_path / "other")},
        clock=emulator.clock,
    )
    staging = function(project.functions.variable).in_workspace(other).deploy()
    assert staging.ref.address == f"{production.ref.address}/staging"
    assert staging.invoke("PLACE") == "staging"
    assert production.invoke("PLACE") == "production"
    staging.delete()
    assert production.invoke("PLACE") == "production"
    other.close()


def test_code_that_cannot_be_loaded_fails_the_deploy(workspace, project, emulator):
    """With the traceback in the log; the version before it goes on."""
    first = deployed(workspace, project.functions.variable, env={"PLACE": "good"})
    with project.having("demo_of_failure.py", OF_FAILURE):
        f = importlib.import_module("demo_of_failure").f
        with pytest.raises(DeployFailed) as caught:
            deployed(workspace, f, env={"BREAK": "1"}, name="broken")
        assert any("no model here" in line for line in caught.value.log_tail)
    assert first.invoke("PLACE") == "good"


def test_prices_and_cold_starts(workspace, project):
    """What the adapter gives beside the seam."""
    endpoint = deployed(workspace, project.functions.echo)
    session = workspace.session()
    adapter: Any = session.adapter
    prices = session.run(adapter.instance_prices)
    assert all(price > 0 for price in prices.values())
    session.run(lambda io: adapter.deactivate(io, endpoint.ref))
    with pytest.raises(gpuhub.NotFound, match="activate"):
        endpoint.invoke(1)
    session.run(lambda io: adapter.activate(io, endpoint.ref))
    assert endpoint.invoke(1) == 1


def test_a_call_whose_result_goes_to_a_webhook(workspace, project, emulator, receiver):
    """Its state can be followed, from anywhere; its result only there."""
    endpoint = deployed(workspace, project.functions.echo)
    session = workspace.session()
    from gpuhub.adapter import CallOptions

    state = session.run(
        lambda io: session.adapter.submit(
            io, endpoint.ref, b'{"value": 5}', CallOptions(webhook=receiver.url)
        )
    )
    call = gpuhub.Call.from_id(str(state.ref), workspace=workspace)
    with pytest.raises(CallExpired, match="webhook"):
        call.result(timeout=600)
    assert call.state().phase is Phase.SUCCEEDED
    until(lambda: receiver.got)
    assert json.loads(receiver.got[0][1])["data"] == {"result": 5}


def test_scaling_settings_reach_the_environment(workspace, project, emulator):
    """With the push already; a change of limits alone is a push, since its label changes."""
    limits = Scaling(max_workers=5, idle_timeout=120, concurrency=3, target_in_flight=2)
    endpoint = deployed(workspace, project.functions.echo, scaling=limits)
    scaling = endpoint.status().scaling
    assert scaling == {
        "min_workers": 0,
        "max_workers": 5,
        "idle_timeout": 120,
        "target_in_flight": 2,
        "scale_window": 60,
    }
    with pytest.raises(gpuhub.UnsupportedSetting, match="deploy"):
        endpoint.scale(concurrency=4)
