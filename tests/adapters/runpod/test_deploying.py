"""Deploying: a create, or what differs; and what RunPod refuses."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    NotFound,
    ProviderUnavailable,
)
from gpuhub.scaling import Scaling
from gpuhub.spec import Image, Volume
from gpuhub.worker.target import Target
from tests.adapters.routes import sent
from tests.adapters.runpod.answers import API, DATA, described, reference, releases, worker

REF = reference()
FIRST = releases([])


def deploy(lab: Any, previous: Any = None, **settings: Any) -> Any:
    """Deploy a function."""
    plan = lab.plan(**settings)
    return lab.run(lab.adapter.deploy(lab.io, plan, previous))


def test_a_first_deploy_creates(lab, api, validate):
    """One POST, which RunPod's schema takes, with the fingerprint in it; and the version."""
    create = api.post(f"{API}/serverless")
    create.side_effect = lambda request: httpx.Response(
        201, json=described(json.loads(request.content))
    )
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    ref = deploy(lab)
    assert validate("CreateEndpointRequest", sent(create)) == []
    assert sent(create)["env"]["GPUHUB_FINGERPRINT"] == "f" * 64
    assert (ref.name, ref.address, ref.version) == ("lab-echo", "ep1", "1")
    assert ref.fingerprint == "f" * 64
    assert ref.made_by_gpuhub
    assert ref.url == f"{DATA}/ep1"
    assert ref.data == {"type": "QUEUE", "timeout_ms": "300000", "max_workers": "3"}
    assert [call.request.method for call in api.calls] == ["POST", "GET"]


def test_a_lost_create_is_not_repeated(lab, api):
    """It may have made an endpoint, which the next deploy finds."""
    create = api.post(f"{API}/serverless").mock(side_effect=httpx.ReadTimeout("lost"))
    with pytest.raises(ProviderUnavailable) as caught:
        deploy(lab)
    assert caught.value.accepted is None
    assert create.call_count == 1


def test_an_unchanged_endpoint_is_not_touched(lab, api):
    """Only looked at: not even the fingerprint alone is worth a new release."""
    there = described(lab.body(regions=["US", "EU"]))
    there["env"]["GPUHUB_FINGERPRINT"] = "0" * 64
    there |= {"ports": None, "dataCenterIds": there["dataCenterIds"][::-1]}
    there["workers"]["standby"] = 0
    del there["registry"]
    api.get(f"{API}/serverless/ep1").respond(json=there)
    api.get(f"{API}/serverless/ep1/workers").respond(json={"workers": [worker("IDLE")]})
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    assert deploy(lab, REF, regions=["US", "EU"]).version == "1"
    assert {call.request.method for call in api.calls} == {"GET"}


def test_a_broken_version_is_deployed_again(lab, api, validate):
    """Though no setting changed: a new release starts new workers."""
    there = described(lab.body())
    there["env"]["GPUHUB_ATTEMPT"] = "2"
    api.get(f"{API}/serverless/ep1").respond(json=there)
    api.get(f"{API}/serverless/ep1/workers").respond(json={"workers": [worker("UNHEALTHY")]})
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    patch = api.patch(f"{API}/serverless/ep1").respond(json=there)
    deploy(lab, REF)
    assert set(sent(patch)) == {"env"}
    assert sent(patch)["env"]["GPUHUB_ATTEMPT"] == "3"
    assert validate("UpdateEndpointRequest", sent(patch)) == []


CHANGES = [
    ({"scaling": Scaling(max_workers=5)}, {"workers"}),
    ({"scaling": Scaling(scale_up_delay=9)}, {"scaling"}),
    ({"timeout": 10}, {"timeout"}),
    ({"env": {"A": "1"}}, {"env"}),
    ({"snapshot": "cpu"}, {"flashboot"}),
    ({"regions": "EU-RO-1"}, {"dataCenterIds"}),
    ({"disk": 70}, {"disk"}),
    ({"cpu": 8}, {"cpu"}),
    ({"image": Image("me/worker:2")}, {"image"}),
]


@pytest.mark.parametrize(("change", "members"), CHANGES, ids=[*map(str, range(len(CHANGES)))])
def test_only_differences_are_sent(lab, api, validate, change, members):
    """What stays the same is not in the PATCH: limits alone replace no worker."""
    there = described(lab.body())
    api.get(f"{API}/serverless/ep1").respond(json=there)
    api.get(f"{API}/serverless/ep1/releases").respond(json=releases([], []))
    patch = api.patch(f"{API}/serverless/ep1").respond(json={**there, **lab.body(**change)})
    ref = deploy(lab, REF, **change)
    assert set(sent(patch)) == members
    assert validate("UpdateEndpointRequest", sent(patch)) == []
    assert ref.version == "2"


def test_a_changed_env_carries_the_new_fingerprint(lab, api):
    """RunPod replaces the map as a whole."""
    there = described(lab.body())
    api.get(f"{API}/serverless/ep1").respond(json=there)
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    patch = api.patch(f"{API}/serverless/ep1").respond(json=there)
    deploy(lab, REF, env={"A": "1"})
    env = sent(patch)["env"]
    assert env["A"] == "1"
    assert env["GPUHUB_FINGERPRINT"] == "f" * 64
    assert env["GPUHUB_BOOT"]


@pytest.mark.parametrize(
    ("before", "after", "sent_gpu"),
    [
        (
            {"gpu": "L4", "min_cuda": "12.4"},
            {"gpu": "L4"},
            {
                "pools": ["AMPERE_24"],
                "count": 1,
                "excludedTypes": ["NVIDIA RTX A5000", "NVIDIA GeForce RTX 3090"],
                "minCudaVersion": "",
            },
        ),
        (
            {"gpu": "H200", "options": {"runpod": {"allowed_cuda_versions": ["12.8"]}}},
            {"gpu": "H200", "min_cuda": "12.1"},
            {
                "pools": ["HOPPER_141"],
                "count": 1,
                "minCudaVersion": "12.1",
                "allowedCudaVersions": [],
            },
        ),
        ({"gpu": "A40"}, {"gpu": "RTX-4090"}, {"pools": ["ADA_24"], "count": 1}),
    ],
)
def test_a_changed_gpu_is_sent_whole(lab, api, validate, before, after, sent_gpu):
    """Pools and exclusions are one selection; constraints that are gone are cleared."""
    there = described(lab.body(**before))
    api.get(f"{API}/catalog/gpus").respond(404)
    api.get(f"{API}/serverless/ep1").respond(json=there)
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    patch = api.patch(f"{API}/serverless/ep1").respond(json=there)
    deploy(lab, REF, **after)
    assert sent(patch)["gpu"] == sent_gpu
    assert validate("UpdateEndpointRequest", sent(patch)) == []


@pytest.mark.parametrize(
    "change", [{"gpu": "L4"}, {"target": Target("shop", "app", "web")}], ids=["family", "type"]
)
def test_what_runpod_cannot_change(lab, api, change):
    """The next step is to delete first; nothing is sent."""
    api.get(f"{API}/catalog/gpus").respond(403)
    api.get(f"{API}/serverless/ep1").respond(json=described(lab.body()))
    with pytest.raises(BadRequest, match="cannot change") as caught:
        deploy(lab, REF, **change)
    assert "delete" in caught.value.next_step
    assert caught.value.accepted is False


def test_the_catalog_of_the_day_decides(lab, api):
    """A card that joined the pool is excluded as well."""
    catalog = [
        {"id": "NVIDIA GeForce RTX 4090", "pool": "ADA_24"},
        {"id": "MIG 1g.24gb", "pool": "ADA_24"},
    ]
    api.get(f"{API}/catalog/gpus").respond(json={"gpus": catalog})
    create = api.post(f"{API}/serverless").respond(201, json=described(lab.body(gpu="RTX-4090")))
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    deploy(lab, gpu="RTX-4090")
    assert sent(create)["gpu"]["excludedTypes"] == ["MIG 1g.24gb"]


def test_a_card_that_left_the_pool(lab, api):
    """Nothing is deployed on something else."""
    api.get(f"{API}/catalog/gpus").respond(json={"gpus": [{"id": "Other", "pool": "ADA_24"}]})
    with pytest.raises(NoCapacity, match="RTX 4090"):
        deploy(lab, gpu="RTX-4090")


@pytest.mark.parametrize("name", ["models", "my.models", "vol7"])
def test_a_volume_is_found_by_name_or_id(lab, api, name):
    """RunPod takes ids."""
    volumes = [{"id": "vol7", "name": name}, {"id": "vol8", "name": "other"}]
    api.get(f"{API}/network-volumes").respond(json={"networkVolumes": volumes})
    create = api.post(f"{API}/serverless").respond(201, json=described(lab.body()))
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    deploy(lab, volumes={"/models": Volume(name)})
    assert sent(create)["networkVolumes"] == ["vol7"]


@pytest.mark.parametrize(
    ("listed", "words"),
    [([], "it has: none"), ([{"id": "a", "name": "m"}, {"id": "b", "name": "m"}], "use an id")],
)
def test_a_volume_that_is_not_there(lab, api, listed, words):
    """Gpuhub makes none, since it would have to delete it with the function."""
    api.get(f"{API}/network-volumes").respond(json={"networkVolumes": listed})
    with pytest.raises(NotFound, match=words):
        deploy(lab, volumes={"/models": Volume("m")})


def test_a_registry_login_is_found(lab, api):
    """By name, as volumes are."""
    api.get(f"{API}/registries").respond(json={"registries": [{"id": "r7", "name": "hub"}]})
    create = api.post(f"{API}/serverless").respond(201, json=described(lab.body()))
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    deploy(lab, image=Image("me/private:1", registry_secret="hub"))
    assert sent(create)["registry"] == "r7"


PROBLEM = {"title": "Unprocessable Entity", "status": 422, "detail": "Request validation failed."}


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (
            400,
            {"title": "Bad Request", "status": 400, "detail": "no such pool"},
            BadRequest,
            "pool",
        ),
        (422, {**PROBLEM, "errors": ["$: 'bogus' not allowed"]}, BadRequest, "'bogus'"),
        (401, {"title": "Unauthorized", "status": 401, "detail": "missing"}, AuthFailed, "missing"),
        (403, {"title": "Forbidden", "status": 403, "detail": ""}, AuthFailed, "Forbidden"),
        (503, {"code": "no_capacity", "error": "none left"}, NoCapacity, "none left"),
        (500, {"message": "oops"}, ProviderUnavailable, "oops"),
    ],
)
def test_problems_of_the_control_plane(lab, api, status, body, kind, words):
    """RunPod's words, class and next step."""
    api.post(f"{API}/serverless").respond(status, json=body, headers={"CF-Ray": "ray-1"})
    with pytest.raises(kind, match=words) as caught:
        deploy(lab)
    assert caught.value.request_id == "ray-1"
    assert caught.value.next_step
    assert caught.value.accepted is (None if status == 500 else False)
