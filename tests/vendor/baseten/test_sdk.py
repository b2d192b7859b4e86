"""Baseten's official client and gpuhub on the same emulator: what they send is compared."""

from __future__ import annotations

import time

import pytest

from gpuhub_baseten.emulator.planes.queue import sign
from tests.adapters.receiving import receiving

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(180)]


def sent(emulator, action):
    """Give what one side sent, by operation."""
    mark = len(emulator.requests)
    action()
    found = {}
    for request in list(emulator.requests)[mark:]:
        found.setdefault(request.operation, []).append(request)
    return found


def payload_of(ours, endpoint):
    """Give the deployment as gpuhub pushed it: what the emulator took, unmasked."""
    deployment = ours.pushed(endpoint)
    return {
        "config": deployment.config.model_dump(exclude_unset=True),
        "raw_config": deployment.raw_config,
        "environment_name": "production",
        "create_environment_if_missing": True,
        "preserve_env_instance_type": False,
        "labels": deployment.labels,
        "autoscaling_settings": {
            name: value for name, value in deployment.autoscaling.items() if value is not None
        },
    }


@pytest.fixture
def pushed(emulator, vendor, ours):
    """The same function, pushed by gpuhub and by the client: both requests and the client's ids."""
    endpoints = []
    mine = sent(emulator, lambda: endpoints.append(ours.deploy("echo", gpu="L4")))
    payload = payload_of(ours, endpoints[0])
    archive = str(ours.pushed(endpoints[0]).archive)
    ids = []

    def push():
        ids.extend(vendor.do(["sdk_push", "theirs", archive, payload], ["sdk_wait"])[0])

    return mine, sent(emulator, push), endpoints[0], ids


def test_both_push_the_same_way(pushed):
    """Prepare, upload, create: the same requests in the same order, member by member."""
    mine, theirs, _, _ = pushed
    for operation in ("prepare", "put", "deploy"):
        (one,), (other,) = theirs[operation], mine[operation]
        places = (one.path, other.path) if operation != "put" else ("", "")
        assert places[0] == places[1]
        assert one.method == other.method
        assert one.headers["authorization"] == other.headers["authorization"], operation
    one, other = theirs["prepare"][0].json, mine["prepare"][0].json
    assert set(one) - set(other) == set()
    assert set(other) - set(one) <= {"team_id", "dry_run"}
    one, other = theirs["deploy"][0].json["source"], mine["deploy"][0].json["source"]
    assert set(one) - set(other) == set()
    assert set(other) - set(one) <= {"disable_archive_download"}
    one, other = one["deployment"], other["deployment"]
    assert set(one) - set(other) == set()
    assert set(other) - set(one) <= {"deploy_timeout_minutes", "deployment_name", "user_env"}
    differing = {name for name in one if one[name] != other[name]}
    assert differing == set(), {name: (one[name], other[name]) for name in differing}


def test_both_sign_the_same_headers(pushed):
    """Of the upload: host, date, token and the payload's hash."""
    mine, theirs, _, _ = pushed
    for request in (mine["put"][0], theirs["put"][0]):
        assert {"x-amz-date", "x-amz-content-sha256", "x-amz-security-token"} <= set(
            request.headers
        )
        assert request.size > 1000


def test_what_the_client_pushed_answers(vendor, pushed):
    """To both clients' calls."""
    _, _, _, ids = pushed
    one, other = vendor.do(
        ["sdk_use", *ids], ["sdk_predict", {"value": [0, None]}], ["sdk_predict_production", {}]
    )[1:]
    assert one == {"result": [0, None]}
    assert other == {"result": None}


def test_the_client_calls_what_gpuhub_deployed(emulator, vendor, ours):
    """The same request; and the client's predict is gpuhub's invoke."""
    endpoint = ours.deploy("echo")
    deployment = ours.pushed(endpoint)
    ids = (deployment.model_id, deployment.id)
    mine = sent(emulator, lambda: endpoint.invoke({"a": 1}))
    found = []
    theirs = sent(
        emulator,
        lambda: found.extend(
            vendor.do(["sdk_use", *ids], ["sdk_predict_production", {"value": {"a": 1}}])
        ),
    )
    assert found[1] == {"result": {"a": 1}}
    (one,), (other,) = theirs["submit"], mine["submit"]
    assert (one.method, one.path, one.json) == (other.method, other.path, other.json)
    for name in ("authorization", "content-type"):
        assert one.headers[name] == other.headers[name]


def test_both_scale_the_environment(emulator, vendor, ours):
    """The same route; the client sends what was named, gpuhub all of the limits."""
    endpoint = ours.deploy("echo")
    deployment = ours.pushed(endpoint)
    mine = sent(emulator, lambda: endpoint.scale(max_workers=4))
    theirs = sent(
        emulator,
        lambda: vendor.do(
            ["sdk_use", deployment.model_id, deployment.id], ["sdk_scale", {"max_replica": 5}]
        ),
    )
    (one,), (other,) = theirs["scale"], mine["scale"]
    assert (one.method, one.path) == (other.method, other.path)
    assert set(one.json) == set(other.json) == {"autoscaling_settings"}
    assert set(one.json["autoscaling_settings"]) <= set(other.json["autoscaling_settings"])
    assert ours.pushed(endpoint).autoscaling["max_replica"] == 5


def test_both_promote_an_older_deployment(emulator, vendor, ours):
    """A rollback is a promotion."""
    first = ours.deploy("variable", env={"A": "1"})
    older = ours.pushed(first).id
    second = ours.deploy("variable", env={"A": "2"})
    newer = ours.pushed(second).id
    assert older != newer
    mine = sent(emulator, lambda: second.rollback(older))
    assert second.invoke("A") == "1"
    ids = (ours.pushed(second).model_id, older)
    theirs = sent(emulator, lambda: vendor.do(["sdk_use", *ids], ["sdk_promote", newer]))
    (one,), (other,) = theirs["promote"], mine["promote"]
    assert (one.method, one.path) == (other.method, other.path)
    assert {**one.json, "deployment_id": ""} == {**other.json, "deployment_id": ""}


def test_the_client_reads_all_answers(emulator, vendor, ours):
    """Every answer of the management API fits the models of the client."""
    endpoint = ours.deploy("shout")
    endpoint.invoke("a word")
    deployment = ours.pushed(endpoint)
    model = {"model_id": deployment.model_id}
    one = {**model, "deployment_id": deployment.id}
    now = int(time.time() * 1000)
    results = vendor.do(
        ["sdk_use", deployment.model_id, deployment.id],
        ["sdk_environment"],
        ["sdk_wait"],
        ["sdk_logs", now - 60_000, now + 60_000],
        ["sdk_startups", now - 60_000, now + 60_000],
        ["sdk_secret", "A", "value"],
        ["sdk_call", "get_secrets"],
        ["sdk_call", "get_models"],
        ["sdk_call", "get_models_model_id", {"**": model}],
        ["sdk_call", "get_models_deployments", {"**": model}],
        ["sdk_call", "get_models_deployments_production", {"**": model}],
        ["sdk_call", "get_models_environments", {"**": model}],
        ["sdk_call", "get_instance_types"],
        ["sdk_call", "get_instance_type_prices"],
        ["sdk_call", "get_models_deployments_config", {"**": one}],
        ["sdk_call", "post_models_deployments_deactivate", {"**": one}],
        ["sdk_refused_predict", {"value": 1}],
        ["sdk_call", "post_models_deployments_activate", {"**": one}],
        ["sdk_wait"],
        ["sdk_predict_production", {"text": "again"}],
        ["sdk_call", "post_models_deployments_retry", {"**": one}],
        ["sdk_wake"],
        ["sdk_call", "delete_models", {"**": model}],
    )
    environment, found, lines, startups = results[1:5]
    assert environment["current_deployment"]["id"] == found["id"] == deployment.id
    assert found["status"] == "ACTIVE"
    assert "a word" in lines
    assert startups["total_duration_ms"]["sample_count"] == 1
    assert "404" in results[16]
    assert results[19] == {"result": None}
    assert emulator.orphans() == []


def test_scale_to_zero_and_a_parked_call(emulator, vendor, ours):
    """The client's call waits for a replica, as the documents say."""
    from gpuhub.scaling import Scaling

    endpoint = ours.deploy("echo", scaling=Scaling(idle_timeout=1))
    deployment = ours.pushed(endpoint)
    _, at_zero, _, output, active = vendor.do(
        ["sdk_use", deployment.model_id, deployment.id],
        ["sdk_wait", "SCALED_TO_ZERO"],
        ["sdk_scale", {"scale_down_delay": 600}],
        ["sdk_predict_production", {"value": "cold"}],
        ["sdk_wait"],
    )
    assert (at_zero["status"], at_zero["active_replica_count"]) == ("SCALED_TO_ZERO", 0)
    assert output == {"result": "cold"}
    assert active["status"] == "ACTIVE"


def test_an_asynchronous_call_and_its_webhook(emulator, options, vendor, ours):
    """The webhook is signed; the output is in it and nowhere else."""
    deployment = ours.pushed(ours.deploy("echo"))
    with receiving() as receiver:
        _, told, untold = vendor.do(
            ["sdk_use", deployment.model_id, deployment.id],
            ["sdk_async", {"value": 7}, receiver.url],
            ["sdk_async", {"value": 8}],
        )
    assert (told["status"], told["webhook_status"]) == ("SUCCEEDED", "SUCCEEDED")
    assert (untold["status"], untold["webhook_status"]) == ("SUCCEEDED", "NO_WEBHOOK_PROVIDED")
    ((headers, body),) = receiver.got
    assert headers["X-BASETEN-SIGNATURE"] == sign(body, options.webhook_secrets)
    assert b'"data": {"result": 7}' in body


def test_a_wrong_key(emulator, vendor, ours):
    """Both are refused alike."""
    deployment = ours.pushed(ours.deploy("echo"))
    emulator.fail("unauthorized", on="submit")
    _, said = vendor.do(
        ["sdk_use", deployment.model_id, deployment.id], ["sdk_refused_predict", {"value": 1}]
    )
    assert "401" in said
