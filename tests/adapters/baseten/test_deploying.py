"""Deploying: a push, one that was made before, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from gpuhub.errors import AuthFailed, BadRequest, ProviderError, ProviderUnavailable
from gpuhub.scaling import Scaling
from gpuhub.spec import Secret
from tests.adapters.baseten.answers import (
    API,
    LIMITS,
    PREPARED,
    STORE,
    deployment,
    environment,
    model,
    reference,
)
from tests.adapters.routes import sent

ENVIRONMENT = f"{API}/models/abc123/environments/production"


def deploy(lab: Any, previous: Any = None, **settings: Any) -> Any:
    """Deploy a function."""
    plan = lab.plan(**settings)
    return lab.run(lab.adapter.deploy(lab.io, plan, previous))


@pytest.fixture
def store(api):
    """The routes of an upload."""
    api.post(f"{API}/prepare_model_upload").respond(json=PREPARED)
    return api.put(f"{STORE}/org/truss.tar").respond(200)


@pytest.fixture
def no_model(api):
    """An account without a model."""
    return api.get(f"{API}/models", params={"name": "lab-echo"}).respond(json={"models": []})


def test_a_first_push(lab, api, store, no_model, validate):
    """Prepare, upload, create; the environment has the limits asked for already."""
    created = {"model": model(), "deployment": deployment("dep1", "BUILDING")}
    create = api.post(f"{API}/models").respond(json=created)
    api.get(ENVIRONMENT).respond(json=environment(None, deployment("dep1", "BUILDING")))
    ref = deploy(lab)
    body = sent(create)
    assert validate("DeploymentArchivePayloadV1", body["source"]["deployment"]) == []
    assert body["source"]["kind"] == "model_archive"
    assert body["source"]["s3_key"] == "org/truss.tar"
    assert body["source"]["deployment"]["labels"]["gpuhub_fingerprint"] == "f" * 64
    assert (ref.name, ref.address, ref.version) == ("lab-echo", "abc123", "dep1")
    assert ref.fingerprint == "f" * 64
    assert ref.url == "https://model-abc123.api.baseten.co/production/predict"
    methods = [(call.request.method, call.request.url.path) for call in api.calls]
    assert methods == [
        ("GET", "/v1/models"),
        ("POST", "/v1/prepare_model_upload"),
        ("PUT", "/org/truss.tar"),
        ("POST", "/v1/models"),
        ("GET", "/v1/models/abc123/environments/production"),
    ]


def test_the_upload_is_signed_and_carries_no_key(lab, api, store, no_model):
    """The credential of the API stays with the API."""
    created = {"model": model(), "deployment": deployment()}
    api.post(f"{API}/models").respond(json=created)
    api.get(ENVIRONMENT).respond(json=environment(deployment()))
    deploy(lab)
    headers = store.calls.last.request.headers
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIA/")
    assert headers["x-amz-security-token"] == "made-up-token"
    assert "bt_SECRET" not in str(headers)


def test_a_refused_upload_shows_no_token(lab, api, no_model):
    """The store quotes the request that it refuses."""
    api.post(f"{API}/prepare_model_upload").respond(json=PREPARED)
    echo = "<Error>SignatureDoesNotMatch x-amz-security-token:made-up-token</Error>"
    api.put(f"{STORE}/org/truss.tar").respond(403, text=echo)
    with pytest.raises(AuthFailed) as caught:
        deploy(lab)
    assert "made-up-token" not in str(caught.value)
    assert "SignatureDoesNotMatch" in str(caught.value)


def test_a_second_push_adds_a_deployment(lab, api, store, validate):
    """To the model that is there; the environment is brought to the limits asked for."""
    old = environment(deployment("dep1", labels={"gpuhub_fingerprint": "0" * 64}))
    api.get(ENVIRONMENT).respond(json=old)
    created = {"model": model(), "deployment": deployment("dep2", "BUILDING")}
    add = api.post(f"{API}/models/abc123/deployments").respond(json=created)
    patch = api.patch(ENVIRONMENT).respond(json={"environment": old, "status": "", "message": ""})
    ref = deploy(lab, reference(), scaling=Scaling(max_workers=7))
    assert ref.version == "dep2"
    assert "name" not in sent(add)["source"]
    assert sent(patch) == {"autoscaling_settings": {**LIMITS, "max_replica": 7}}
    assert validate("UpdateAutoscalingSettingsV1", sent(patch)["autoscaling_settings"]) == []


@pytest.mark.parametrize("which", ["current", "candidate"])
def test_what_was_pushed_before_is_taken_up(lab, api, which):
    """By the fingerprint: after a crash nothing is pushed twice; limits are put back."""
    there = environment(
        **{which: deployment("dep9", "DEPLOYING" if which == "candidate" else "ACTIVE")}
    )
    there["autoscaling_settings"] = {**LIMITS, "max_replica": 9}
    api.get(ENVIRONMENT).respond(json=there)
    patch = api.patch(ENVIRONMENT).respond(json={})
    assert deploy(lab, reference()).version == "dep9"
    assert sent(patch)["autoscaling_settings"]["max_replica"] == 3
    assert {call.request.method for call in api.calls} == {"GET", "PATCH"}


def test_a_failed_candidate_is_pushed_again(lab, api, store):
    """Though its fingerprint is the same."""
    api.get(ENVIRONMENT).respond(json=environment(None, deployment("dep1", "BUILD_FAILED")))
    created = {"model": model(), "deployment": deployment("dep2", "BUILDING")}
    api.post(f"{API}/models/abc123/deployments").respond(json=created)
    assert deploy(lab, reference()).version == "dep2"


def test_a_promotion_under_way_is_waited_for(lab, api, store):
    """Only one promotion at a time: the push is repeated until it is taken."""
    old = environment(deployment("dep1", labels={"gpuhub_fingerprint": "0" * 64}))
    api.get(ENVIRONMENT).respond(json=old)
    busy = httpx.Response(409, json={"message": "a promotion is in progress"})
    created = {"model": model(), "deployment": deployment("dep2", "BUILDING")}
    add = api.post(f"{API}/models/abc123/deployments")
    add.side_effect = [busy, busy, httpx.Response(200, json=created)]
    assert deploy(lab, reference()).version == "dep2"
    assert add.call_count == 3


def test_other_conflicts_are_told(lab, api, store, no_model):
    """Such as a name that is taken by another team."""
    api.post(f"{API}/models").respond(409, json={"message": "the name is taken"})
    with pytest.raises(BadRequest, match="the name is taken"):
        deploy(lab)


def test_a_lost_push_is_not_repeated(lab, api, store, no_model):
    """It may have made a deployment, which the next deploy takes up."""
    create = api.post(f"{API}/models").mock(side_effect=httpx.ReadTimeout("lost"))
    with pytest.raises(ProviderUnavailable) as caught:
        deploy(lab)
    assert caught.value.accepted is None
    assert create.call_count == 1


def test_local_secrets_are_stored_first(lab, api, store, no_model, validate):
    """Under the deployment's name; the plan holds no value."""
    created = {"model": model(), "deployment": deployment()}
    api.post(f"{API}/models").respond(json=created)
    api.get(ENVIRONMENT).respond(json=environment(deployment()))
    secret = api.post(f"{API}/secrets").respond(json={})
    plan = lab.plan(secrets=Secret.from_local_env("TOKEN", env="APP_TOKEN"))
    from pydantic import SecretStr

    plan = plan.with_facts(secret_values={"TOKEN": SecretStr("hush")})
    lab.run(lab.adapter.deploy(lab.io, plan, None))
    assert sent(secret) == {"name": "gpuhub-lab-echo-APP_TOKEN", "value": "hush"}
    assert validate("UpsertSecretRequestV1", sent(secret)) == []
    assert "hush" not in json.dumps(plan.to_dict())


def test_another_environment(make_lab, api, store, no_model):
    """Is named in the push and in the address."""
    lab = make_lab(environment="staging")
    created = {"model": model(), "deployment": deployment()}
    create = api.post(f"{API}/models").respond(json=created)
    api.get(f"{API}/models/abc123/environments/staging").respond(404, json={"message": "none"})
    ref = deploy(lab)
    assert sent(create)["source"]["deployment"]["environment_name"] == "staging"
    assert ref.address == "abc123/staging"
    assert ref.url.endswith("/environments/staging/predict")


def test_a_team_has_its_own_models(make_lab, api, store, no_model):
    """The model is made in the team that the settings name."""
    lab = make_lab(team_id="team1")
    created = {"model": model(), "deployment": deployment()}
    create = api.post(f"{API}/teams/team1/models").respond(json=created)
    api.get(ENVIRONMENT).respond(json=environment(deployment()))
    deploy(lab)
    assert create.called


def test_an_answer_that_is_none(lab, api, store, no_model):
    """A push answered with something else may have had its effect."""
    api.post(f"{API}/models").respond(json={"unexpected": True})
    with pytest.raises(ProviderError) as caught:
        deploy(lab)
    assert caught.value.accepted is None
