"""Deployments and models: Replicate's own client beside gpuhub."""

from __future__ import annotations

import json

import pytest

from gpuhub_replicate.emulator import EmulatorOptions
from tests.vendor.replicate.conftest import TOKEN
from tests.vendor.replicate.test_predictions import headers_of, sent_by

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(120)]


def path_of(emulator, endpoint):
    """Give ``owner/name`` of a deployment of ours."""
    return f"{emulator.username}/{endpoint.ref.address.rpartition('/')[2]}"


def test_both_make_a_model_the_same_way(emulator, vendor, ours):
    """Body by body: what both send is equal, and what only one sends is known."""
    theirs = sent_by(
        emulator,
        lambda: vendor.do(
            [
                "create_model**",
                emulator.username,
                "theirs",
                {"hardware": "cpu", "visibility": "private"},
            ]
        ),
        "model",
    )
    mark = len(emulator.requests)
    ours.deploy("echo")
    created = [
        each
        for each in list(emulator.requests)[mark:]
        if (each.method, each.path) == ("POST", "/v1/models")
    ]
    (mine,) = created
    one, other = dict(theirs.json), dict(mine.json)
    assert one.pop("name") == "theirs"
    assert other.pop("name") == "contract-echo"
    assert set(other) - set(one) <= {"description"}
    assert {name: other[name] for name in one} == one
    assert headers_of(theirs)["authorization"] == headers_of(mine)["authorization"]


def test_both_make_a_deployment_the_same_way(emulator, vendor, ours):
    """The same members with the same values."""
    mine = sent_by(emulator, lambda: ours.deploy("echo"), "deploy")
    given = {**mine.json, "name": "theirs"}
    theirs = sent_by(emulator, lambda: vendor.do(["create_deployment**", {**given}]), "deploy")
    assert theirs.path == mine.path == "/v1/deployments"
    assert theirs.json == given
    assert headers_of(theirs)["content-type"] == headers_of(mine)["content-type"]


def test_both_change_it_the_same_way(emulator, vendor, ours):
    """A PATCH of what changes; each change is a release."""
    endpoint = ours.deploy("echo")
    path = path_of(emulator, endpoint)
    mine = sent_by(emulator, lambda: endpoint.scale(max_workers=4), "scale")
    theirs = sent_by(
        emulator,
        lambda: vendor.do(["update_deployment**", path, {"min_instances": 0, "max_instances": 5}]),
        "scale",
    )
    assert theirs.path == mine.path == f"/v1/deployments/{path}"
    assert set(mine.json) <= set(theirs.json)
    assert endpoint.status().scaling["max_workers"] == 5


def test_the_client_reads_what_gpuhub_deployed(emulator, vendor, ours):
    """Its release, its model, its versions."""
    endpoint = ours.deploy("echo")
    path = path_of(emulator, endpoint)
    found, listed, model, versions, skus = vendor.do(
        ["get_deployment", path],
        ["list_deployments"],
        ["get_model", path],
        ["versions", path],
        ["hardware"],
    )
    assert listed == [path]
    assert found["current_release"]["version"] == endpoint.version
    assert found["current_release"]["created_by"]["username"] == emulator.username
    assert model["latest_version"]["id"] == endpoint.version
    assert versions == [endpoint.version]
    assert "payload" in json.dumps(model["latest_version"]["openapi_schema"])
    assert found["current_release"]["configuration"]["hardware"] in skus


def test_the_client_calls_what_gpuhub_deployed(emulator, vendor, ours):
    """With the one text that the runner takes; the envelope comes back as one."""
    endpoint = ours.deploy("combine")
    path = path_of(emulator, endpoint)
    given = {"payload": json.dumps({"left": 1, "scale": 2})}
    (found,) = vendor.do(["predict", path, given])
    assert json.loads(found["output"]) == {"result": 22}
    mine = sent_by(emulator, lambda: endpoint.invoke(1, scale=2))
    theirs = emulator.requests.of("submit")[0]
    assert theirs.path == mine.path == f"/v1/deployments/{path}/predictions"
    assert json.loads(mine.json["input"]["payload"]) == json.loads(given["payload"])
    assert set(mine.json) == set(theirs.json) == {"input"}


def test_a_version_of_ours_runs_without_its_deployment(emulator, vendor, ours):
    """By its id, as run() does it."""
    endpoint = ours.deploy("combine")
    path = path_of(emulator, endpoint)
    given = {"payload": json.dumps({"left": 2})}
    (found,) = vendor.do(["run", f"{path}:{endpoint.version}", given])
    assert json.loads(found["output"]) == {"result": 12}


def test_a_stream_of_ours(emulator, vendor, ours):
    """The client reads the events of a generator: a line for each item."""
    endpoint = ours.deploy("count_to")
    path = path_of(emulator, endpoint)
    given = {"payload": json.dumps({"number": 3})}
    (events,) = vendor.do(["stream", f"{path}:{endpoint.version}", given])
    lines = [json.loads(data) for kind, data in events if kind == "output"]
    assert [line["result"] for line in lines[:-1]] == [0, 1, 2]
    assert "gpuhub_end" in lines[-1]
    assert events[-1] == ["done", "{}"]


def test_deleting_waits_for_both(emulator, vendor, ours):
    """The rule of 15 minutes; ours turns it off at once."""
    endpoint = ours.deploy("echo")
    path = path_of(emulator, endpoint)
    (refused,) = vendor.do(["delete_deployment", path])
    assert refused["status"] == 409
    endpoint.delete()
    (found,) = vendor.do(["get_deployment", path])
    configuration = found["current_release"]["configuration"]
    assert (configuration["min_instances"], configuration["max_instances"]) == (0, 0)


@pytest.mark.parametrize(
    "options",
    [EmulatorOptions(delete_after_s=0.0, tokens=frozenset({TOKEN}), registry_login="bearer")],
)
def test_a_delete_that_need_not_wait(emulator, vendor, ours):
    """It is gone at once, for both; the push before went with a bearer's token."""
    endpoint = ours.deploy("echo")
    path = path_of(emulator, endpoint)
    endpoint.delete()
    (listed,) = vendor.do(["list_deployments"])
    assert listed == []
    assert path.endswith("contract-echo")
