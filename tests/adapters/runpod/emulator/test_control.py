"""The control plane: what it refuses, and how, and what changes do."""

from __future__ import annotations

from copy import deepcopy

import pytest

from gpuhub_runpod.emulator import EmulatorOptions, Quota
from tests.adapters.runpod.emulator.conftest import body

QUEUE = {"type": "QUEUE_DELAY", "queueDelay": 4}
COUNT = {"type": "REQUEST_COUNT", "requestCount": 2}
CPU = [{"id": "cpu3c", "vcpuCount": 2}]


def changed(document, **fields):
    """Give the body of an endpoint with some members changed, or dropped for ``...``."""
    made = {**deepcopy(document), **fields}
    return {name: value for name, value in made.items() if value is not ...}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"bogus": 1}, "additional properties 'bogus' not allowed"),
        ({"gpu": {"pools": ["ADA_24"], "type": "x"}}, "additional properties 'type' not allowed"),
        ({"name": ""}, "$.name"),
        ({"name": ...}, "missing property 'name'"),
        ({"scaling": ...}, "missing property 'scaling'"),
        ({"image": ...}, "image"),
        ({"type": "POD"}, "$.type"),
        ({"gpu": {"pools": []}}, "$.gpu.pools"),
        ({"gpu": {"count": 1}}, "missing property 'pools'"),
        ({"gpu": {"pools": ["ADA_24"], "count": 0}}, "$.gpu.count"),
        ({"gpu": {"pools": ["ADA_24"], "count": "1"}}, "$.gpu.count"),
        ({"gpu": {"pools": ["ADA_24"], "minCudaVersion": "12"}}, "minCudaVersion"),
        ({"workers": {"idleTimeout": 0}}, "idleTimeout"),
        ({"workers": {"idleTimeout": 3601}}, "idleTimeout"),
        ({"workers": {"min": -1}}, "min"),
        ({"scaling": {"type": "QUEUE_DELAY", "queueDelay": 0.4}}, "queueDelay"),
        ({"scaling": {"type": "QUEUE_DELAY", "requestCount": 1}}, "requestCount"),
        ({"scaling": {"type": "OTHER"}}, "scaling"),
        ({"type": "LOAD_BALANCER"}, "REQUEST_COUNT"),
        ({"env": {"A": 1}}, "$.env.A"),
        ({"disk": 0}, "$.disk"),
        ({"args": ["sh"]}, "$.args"),
        ({"flashboot": "ON"}, "$.flashboot"),
        ({"args": None}, "null"),
    ],
)
def test_what_has_not_the_documented_form_is_422(account, fields, said):
    """The answer names what is wrong, as ``application/problem+json``."""
    answer = account.http.post("serverless", json=changed(body(), **fields))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"title", "status", "detail", "errors"}
    assert said in "\n".join(answer.json()["errors"])
    assert account.http.get("serverless").json() == {"endpoints": []}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"gpu": ...}, "exactly one of gpu and cpu"),
        ({"cpu": CPU}, "exactly one of gpu and cpu"),
        ({"scaling": COUNT, "workers": {"idleTimeout": 5}}, "idleTimeout"),
        ({"workers": {"min": 4, "max": 2}}, "workers.min 4"),
        ({"gpu": {"pools": ["NO_POOL"]}}, "unknown NO_POOL"),
        ({"gpu": {"pools": ["ADA_24"], "excludedTypes": ["NVIDIA L4"]}}, "not a type of the pools"),
        (
            {"gpu": {"pools": ["ADA_24"], "excludedTypes": ["NVIDIA GeForce RTX 4090"]}},
            "leaves no type",
        ),
        (
            {
                "gpu": {
                    "pools": ["ADA_24"],
                    "allowedCudaVersions": ["12.8"],
                    "minCudaVersion": "12.4",
                }
            },
            "exclude each other",
        ),
        ({"gpu": ..., "cpu": [{"id": "cpu3c", "vcpuCount": 6}]}, "power of two"),
        ({"gpu": ..., "cpu": [{"id": "cpu9z", "vcpuCount": 2}]}, "unknown flavour"),
        ({"dataCenterIds": ["XX-1"]}, "unknown XX-1"),
        ({"networkVolumes": ["vol_none"]}, "unknown vol_none"),
        ({"registry": "reg_none"}, "unknown reg_none"),
        ({"image": "runpod/pytorch:latest"}, "not found in its registry"),
    ],
)
def test_rules_that_contradict_each_other_are_400(account, fields, said):
    """A well-formed body may still make no sense."""
    answer = account.http.post("serverless", json=changed(body(), **fields))
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_an_idle_timeout_is_refused_by_a_change_too(account):
    """Also when the scaling changes to one that takes none; the response leaves it out."""
    endpoint = account.endpoint()
    both = {"scaling": COUNT, "workers": {"idleTimeout": 9}}
    assert account.http.patch(f"serverless/{endpoint.id}", json=both).status_code == 400
    assert "idleTimeout" not in endpoint.patch(scaling=COUNT)["workers"]
    alone = {"workers": {"idleTimeout": 9}}
    assert account.http.patch(f"serverless/{endpoint.id}", json=alone).status_code == 400


def test_type_and_family_are_for_good(account):
    """``type`` cannot be sent; ``cpu`` to a GPU endpoint, or the reverse, is a conflict."""
    gpu = account.created(**body())["id"]
    cpu = account.created(**changed(body(), gpu=..., cpu=CPU))["id"]
    send = account.http.patch
    assert send(f"serverless/{gpu}", json={"type": "QUEUE"}).status_code == 422
    assert send(f"serverless/{gpu}", json={"cpu": CPU}).status_code == 400
    assert send(f"serverless/{cpu}", json={"gpu": {"pools": ["ADA_24"]}}).status_code == 400
    assert send(f"serverless/{cpu}", json={"cpu": [CPU[0] | {"vcpuCount": 4}]}).status_code == 200


def test_pools_alone_clear_the_exclusions(account):
    """And exclusions without pools are refused."""
    selection = {"pools": ["AMPERE_24"], "excludedTypes": [" NVIDIA L4"]}
    endpoint = account.endpoint(gpu=selection)
    assert endpoint.made["gpu"]["excludedTypes"] == ["NVIDIA L4"]
    assert endpoint.patch(gpu={"minCudaVersion": "12.4"})["gpu"]["excludedTypes"] == ["NVIDIA L4"]
    alone = {"gpu": {"excludedTypes": ["NVIDIA L4"]}}
    assert account.http.patch(f"serverless/{endpoint.id}", json=alone).status_code == 422
    assert endpoint.patch(gpu={"pools": ["AMPERE_24"]})["gpu"]["excludedTypes"] == []
    assert endpoint.patch(gpu={"minCudaVersion": ""})["gpu"]["minCudaVersion"] is None


def test_env_is_replaced_as_a_whole(account):
    """What a change does not name is gone."""
    endpoint = account.endpoint(env={"A": "1", "B": "2"})
    assert endpoint.patch(env={"C": "3"})["env"] == {"C": "3"}


def test_defaults_are_the_documented_ones(account):
    """What a request leaves out."""
    made = account.created(**body())
    assert made["workers"] == {"min": 0, "max": 3, "idleTimeout": 10}
    assert made["timeout"] == 300_000
    assert made["flashboot"] == "OFF"
    assert made["requestUrls"]["status"].endswith(f"/v2/{made['id']}/status/{{job_id}}")


def test_only_what_workers_run_makes_a_release(account):
    """Limits apply at once; an unchanged value is no change."""
    endpoint = account.endpoint()
    endpoint.patch(workers={"max": 5}, timeout=60_000, name="renamed")
    endpoint.patch(image=endpoint.made["image"])
    endpoint.patch(image="runpod/queue:py3.12-latest")
    listing = account.http.get(f"serverless/{endpoint.id}/releases").json()
    assert listing["endpointVersion"] == 2
    assert [release["version"] for release in listing["releases"]] == [2, 1]
    (entry,) = listing["releases"][0]["diff"]
    assert entry["field"] == "template.imageName"
    assert (entry["old"][-13:], entry["new"][-13:]) == ("py3.11-latest", "py3.12-latest")


def test_templates_are_copied_once(account):
    """The body wins, variables are merged, later changes of the template do not matter."""
    fields = {"name": "base", "image": "me/base:1", "env": {"A": "1", "B": "1"}, "serverless": True}
    template = account.http.post("templates", json=fields).json()
    given = changed(body(env={"B": "2"}), image=..., templateId=template["id"])
    made = account.created(**given)
    assert made["image"] == "me/base:1"
    assert (made["env"]["A"], made["env"]["B"]) == ("1", "2")
    account.http.patch(f"templates/{template['id']}", json={"image": "me/base:2"})
    assert account.http.get(f"serverless/{made['id']}").json()["image"] == "me/base:1"
    assert account.http.get("templates").json()["templates"][0]["image"] == "me/base:2"


def test_a_template_must_be_there_and_for_workers(account):
    """404 and 422."""
    pod = account.http.post("templates", json={"name": "pod", "image": "me/pod:1"}).json()
    for template, status in (("none", 404), (pod["id"], 422)):
        given = changed(body(), templateId=template)
        assert account.http.post("serverless", json=given).status_code == status


def test_volumes_only_grow(account):
    """And are found by the endpoints that name them."""
    fields = {"name": "models", "size": 20, "dataCenter": "US-KS-2"}
    volume = account.http.post("network-volumes", json=fields).json()
    place = f"network-volumes/{volume['id']}"
    assert account.http.patch(place, json={"size": 10}).status_code == 400
    assert account.http.patch(place, json={}).status_code == 422
    assert account.http.patch(place, json={"size": 30}).json()["size"] == 30
    assert account.created(**body(networkVolumes=[volume["id"]]))["networkVolumes"] == [
        volume["id"]
    ]
    assert account.http.delete(place).status_code == 204
    assert account.http.get(place).status_code == 404


def test_a_registry_credential_shows_no_password(account):
    """It is written, never read, and not deleted while an endpoint uses it."""
    fields = {"name": "hub", "username": "me", "password": "made-up"}
    made = account.http.post("registries", json=fields).json()
    assert made == {"id": made["id"], "name": "hub"}
    assert "made-up" not in repr(list(account.emulator.requests))
    endpoint = account.endpoint(registry=made["id"])
    assert account.http.delete(f"registries/{made['id']}").status_code == 400
    account.http.delete(f"serverless/{endpoint.id}")
    assert account.http.delete(f"registries/{made['id']}").status_code == 204


def test_the_catalog_tells_pools_prices_and_stock(account):
    """Stock only on request, together with a product."""
    account.emulator.set_stock("AMPERE_24", "NONE")
    get = account.http.get
    gpus = {each["id"]: each for each in get("catalog/gpus").json()["gpus"]}
    assert gpus["NVIDIA L4"]["pool"] == "AMPERE_24"
    assert gpus["NVIDIA A30"]["pool"] is None
    assert "availability" not in gpus["NVIDIA L4"]
    with_stock = get("catalog/gpus?include=AVAILABILITY&product=SERVERLESS").json()["gpus"]
    assert {each["availability"] for each in with_stock if each["pool"] == "AMPERE_24"} == {"NONE"}
    assert get("catalog/gpus?include=AVAILABILITY").status_code == 400
    assert get("catalog/gpus?product=SERVERLESS").status_code == 400
    assert get("catalog/gpus/NVIDIA L4").json()["memory"] == 24
    assert get("catalog/cpus/cpu3c").json()["vcpu"]["min"] == 2
    assert get("catalog/datacenters/none").status_code == 404


def test_no_key_no_answer(account):
    """401 without a key, on both planes."""
    endpoint = account.endpoint()
    for method, path in (("GET", "serverless"), ("POST", f"{endpoint.id}/run")):
        answer = account.http.request(method, path, headers={"Authorization": ""}, json={})
        assert answer.status_code == 401
    assert account.http.get("serverless", headers={"Authorization": "key"}).status_code == 401
    bare = {"Authorization": "key"}
    assert account.http.get(f"{endpoint.id}/health", headers=bare).status_code == 200


@pytest.mark.parametrize(
    "options",
    [EmulatorOptions(api_keys={"reads": frozenset({"read"}), "made-up": frozenset({"write"})})],
)
def test_keys_have_scopes(account):
    """403 is a good key without that permission, 401 an unknown one."""
    made = account.created(**body())
    for key, method, path, status in (
        ("reads", "GET", "serverless", 200),
        ("reads", "POST", "serverless", 403),
        ("reads", "GET", f"{made['id']}/health", 403),
        ("unknown", "GET", "serverless", 401),
    ):
        headers = {"Authorization": f"Bearer {key}"}
        answer = account.http.request(method, path, headers=headers)
        assert answer.status_code == status, (key, method, path)


@pytest.mark.parametrize("options", [EmulatorOptions(control_quota=Quota(3, 60))])
def test_too_many_requests(account, clock):
    """429 says how long to wait; the headers tell of the limit."""
    answers = [account.http.get("serverless") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["RateLimit"] == '"minute";r=2;t=60'
    assert answers[0].headers["RateLimit-Policy"] == '"minute";q=3;w=60'
    assert answers[3].headers["Retry-After"] == "60"
    clock.advance(60)
    assert account.http.get("serverless").status_code == 200


@pytest.mark.parametrize("options", [EmulatorOptions(worker_quota=5)])
def test_the_quota_of_workers(account):
    """All endpoints together."""
    account.created(**body(workers={"max": 3}))
    answer = account.http.post("serverless", json=body(workers={"max": 3}))
    assert answer.status_code == 400
    assert "quota is 5" in answer.json()["detail"]


def test_what_is_not_there(account):
    """404 for endpoints, workers and routes; 405 for methods; 400 for what is no JSON."""
    endpoint = account.endpoint()
    for method, path, status in (
        ("GET", "serverless/none", 404),
        ("DELETE", "serverless/none", 404),
        ("GET", "serverless/none/workers", 404),
        ("GET", f"serverless/{endpoint.id}/workers/none/logs", 404),
        ("GET", "nothing", 404),
        ("PUT", "serverless", 405),
    ):
        assert account.http.request(method, path).status_code == status, path
    assert account.http.post("serverless", content=b"{").status_code == 400


def test_variables_are_not_in_the_record(account):
    """A recorded body keeps the names of variables, not what they hold."""
    account.endpoint(env={"TOKEN": "s3cret"})
    (request,) = account.emulator.requests.of("deploy")
    assert request.json["env"]["TOKEN"] == "****"
    assert "s3cret" not in repr(request)
