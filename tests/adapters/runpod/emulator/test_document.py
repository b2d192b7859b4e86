"""The emulator against RunPod's published REST v2 document."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from gpuhub_runpod.emulator import bodies
from tests.adapters.needed import published, takes
from tests.adapters.runpod.emulator.conftest import body

MODELS: dict[str, type[BaseModel]] = {
    "CreateEndpointRequest": bodies.CreateEndpoint,
    "UpdateEndpointRequest": bodies.UpdateEndpoint,
    "CreateEndpointGpuConfig": bodies.CreateGpu,
    "UpdateEndpointGpuConfig": bodies.UpdateGpu,
    "CreateCpuConfig": bodies.CreateCpu,
    "EndpointWorkers": bodies.Workers,
    "QueueDelayScaling": bodies.QueueDelay,
    "RequestCountScaling": bodies.RequestCount,
    "CreateTemplateRequest": bodies.CreateTemplate,
    "UpdateTemplateRequest": bodies.UpdateTemplate,
    "TemplateMounts": bodies.TemplateMounts,
    "PersistentMount": bodies.PersistentMount,
    "CreateNetworkVolumeRequest": bodies.CreateNetworkVolume,
    "UpdateNetworkVolumeRequest": bodies.UpdateNetworkVolume,
    "CreateRegistryRequest": bodies.CreateRegistry,
    "CreateDelegationRequest": bodies.CreateDelegation,
}
SAID = {"image"}
"""Required by an ``if`` of the document: ours is a check of the model."""


@pytest.fixture(scope="module")
def document():
    """The document."""
    return published("runpod-rest-v2-openapi.json")


def flat(document, schema):
    """Give the members and the required names of a schema, its parts put together."""
    if "$ref" in schema:
        return flat(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    members, required = dict(schema.get("properties", {})), set(schema.get("required", ()))
    for part in schema.get("allOf", ()):
        more, needed = flat(document, part)
        members, required = {**members, **more}, required | needed
    return members, required


def resolved(document, schema):
    """Follow a reference, or the only part."""
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif len(schema.get("allOf", ())) == 1 and "enum" not in schema:
            schema = {**schema, **schema["allOf"][0], "allOf": ()}
        else:
            return schema


def inner(model, schema):
    """Follow a reference of pydantic's schema, or the one alternative to null."""
    while True:
        if "$ref" in schema:
            schema = model["$defs"][schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            (schema,) = [each for each in schema["anyOf"] if each.get("type") != "null"]
        else:
            return schema


@pytest.mark.parametrize("name", MODELS)
def test_our_models_have_its_members(document, name):
    """The same names, the same ones required."""
    members, required = flat(document, document["components"]["schemas"][name])
    fields = MODELS[name].model_fields
    assert set(fields) == set(members)
    needed = {field for field, info in fields.items() if info.is_required()}
    assert needed - SAID == required - SAID


@pytest.mark.parametrize("name", MODELS)
def test_our_models_have_its_values(document, name):
    """Enumerations, bounds, lengths and patterns of each member are the document's."""
    members, _ = flat(document, document["components"]["schemas"][name])
    ours = MODELS[name].model_json_schema()
    for member, described in members.items():
        theirs = resolved(document, described)
        mine = inner(ours, ours["properties"][member])
        for rule in ("minimum", "maximum", "minLength", "minItems", "pattern"):
            assert mine.get(rule) == theirs.get(rule), f"{name}.{member}: {rule}"
        values = mine.get("enum") or ([mine["const"]] if "const" in mine else None)
        assert sorted(values or ()) == sorted(theirs.get("enum", ())), f"{name}.{member}"


def test_the_emulators_answers_have_its_form(account, clock, validate):
    """Every answer of the control plane is what the document says."""
    endpoint = account.endpoint(workers={"min": 1, "max": 2})
    account.emulator.set_stock("ADA_24", "NONE")
    account.created(**{**body(workers={"min": 1}), "gpu": {"pools": ["ADA_24"]}})
    volume = {"name": "v", "size": 10, "dataCenter": "US-KS-2"}
    account.http.post("network-volumes", json=volume)
    account.http.post("templates", json={"name": "t", "image": "me/t:1"})
    account.http.post("registries", json={"name": "r", "username": "u", "password": "p"})
    arn = "arn:aws:ecr:us-east-1:123456789012:repository/models:1"
    account.http.post("registries/delegations", json={"resource": arn})
    clock.advance(10)
    endpoint.patch(image="runpod/queue:py3.12-latest")
    for path, name in (
        ("serverless", "ListEndpointsResponse"),
        (f"serverless/{endpoint.id}", "Endpoint"),
        (f"serverless/{endpoint.id}/workers", "ListEndpointWorkersResponse"),
        (f"serverless/{endpoint.id}/releases", "ListEndpointReleasesResponse"),
        ("templates", "ListTemplatesResponse"),
        ("network-volumes", "ListNetworkVolumesResponse"),
        ("registries", "ListRegistriesResponse"),
        ("registries/delegations", "ListDelegationsResponse"),
        ("catalog/gpus", "ListGpuTypesResponse"),
        ("catalog/gpus?include=AVAILABILITY&product=SERVERLESS", "ListGpuTypesResponse"),
        ("catalog/cpus", "ListCpuTypesResponse"),
        ("catalog/datacenters", "ListDataCentersResponse"),
        ("catalog/templates", "ListTemplatesResponse"),
        ("billing/serverless", "ListServerlessBillingResponse"),
    ):
        answer = account.http.get(path)
        assert answer.status_code == 200, path
        assert validate(name, answer.json()) == [], path


def test_refusals_have_its_form(account, validate):
    """``ErrorResponse``, for every status."""
    answers = [
        account.http.get("serverless/none"),
        account.http.post("serverless", json={"bogus": 1}),
        account.http.post("serverless", json={**body(), "cpu": [{"id": "cpu3c", "vcpuCount": 2}]}),
        account.http.get("serverless", headers={"Authorization": ""}),
    ]
    assert [answer.status_code for answer in answers] == [404, 422, 400, 401]
    for answer in answers:
        assert validate("ErrorResponse", answer.json()) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"bogus": 1},
        {"workers": {"idleTimeout": 0}},
        {"workers": {"other": 1}},
        {"scaling": {"type": "QUEUE_DELAY", "queueDelay": 0.1}},
        {"scaling": {"type": "REQUEST_COUNT", "requestCount": 0}},
        {"gpu": {"pools": [], "count": 1}},
        {"gpu": {"pools": ["ADA_24"], "minCudaVersion": "12"}},
        {"gpu": {"pools": ["ADA_24"], "excludedTypes": ["-NVIDIA L4"]}},
        {"gpu": {"pools": ["ADA_24"], "excludedTypes": ["A", "A"]}},
        {"env": {"A": 1}},
        {"flashboot": "ON"},
        {"type": "LOAD_BALANCER"},
        {"disk": 0},
        {"cpu": []},
        {},
        {"workers": {"min": 1, "max": 2, "idleTimeout": 60}},
        {"timeout": 600_000, "ports": ["8000/http"], "dataCenterIds": [], "registry": None},
        {"gpu": {"pools": ["ADA_24", "AMPERE_24"], "allowedCudaVersions": [], "count": 2}},
        {"flashboot": "PRIORITY_FLASHBOOT", "disk": 100},
    ],
)
def test_both_refuse_the_same_bodies(validate, fields):
    """What the document's schema takes ours takes, and what it refuses ours refuses."""
    given = {**body(), **fields}
    theirs = validate("CreateEndpointRequest", given) == []
    assert takes(bodies.CreateEndpoint, given) == theirs
