"""The emulator against Replicate's published OpenAPI document, of before 2025-08."""

from __future__ import annotations

import json
import re

import jsonschema  # type: ignore[import-untyped]
import pytest
from pydantic import BaseModel

from gpuhub_replicate.emulator import bodies
from gpuhub_replicate.emulator.planes.predictions import _WAIT
from tests.adapters.needed import published, takes

ONE = "/deployments/{deployment_owner}/{deployment_name}"
MODELS: dict[tuple[str, str], type[BaseModel]] = {
    ("/predictions", "post"): bodies.VersionPredictionCreation,
    ("/models/{model_owner}/{model_name}/predictions", "post"): bodies.PredictionCreation,
    (f"{ONE}/predictions", "post"): bodies.PredictionCreation,
    ("/models", "post"): bodies.ModelCreation,
    ("/deployments", "post"): bodies.DeploymentCreation,
    (ONE, "patch"): bodies.DeploymentChange,
}
NOT_PLAYED = {"collections", "trainings", "models.search"}
"""Operations that gpuhub has no use for."""
STATUSES = {
    "deployments.create": 200,
    "models.create": 201,
    "deployments.delete": 204,
    "models.delete": 204,
    "models.versions.delete": 202,
    "predictions.cancel": 200,
}


@pytest.fixture(scope="module")
def document():
    """The document."""
    return published("replicate-openapi.json")


def body_of(document, path, method):
    """Give the schema of a request's body."""
    content = document["paths"][path][method]["requestBody"]["content"]
    schema = content["application/json"]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


@pytest.mark.parametrize(("path", "method"), MODELS)
def test_our_bodies_have_its_members(document, path, method):
    """The same names, the same ones required; bounds and choices too."""
    theirs = body_of(document, path, method)
    ours = MODELS[path, method].model_json_schema()
    assert set(ours["properties"]) == set(theirs["properties"])
    assert set(ours.get("required", ())) == set(theirs.get("required", ()))
    for name, rule in theirs["properties"].items():
        shown = json.dumps(ours["properties"][name])
        for word in ("minimum", "maximum"):
            if word in rule:
                assert f'"{word}": {rule[word]}' in shown, name
        choices = rule.get("enum") or rule.get("items", {}).get("enum")
        if choices:
            assert json.dumps(choices) in shown, name


def test_our_bodies_take_nothing_else(document):
    """Where the document closes them, and everywhere else."""
    for (path, method), model in MODELS.items():
        closed = body_of(document, path, method).get("additionalProperties")
        assert closed in (False, None)
        assert model.model_config["extra"] == "forbid"


def test_prefer_is_read_as_it_says(document):
    """The pattern of the header, whose last alternative lets more in than it means to."""
    (header,) = [
        each for each in document["components"]["parameters"].values() if each["name"] == "Prefer"
    ]
    theirs = re.compile(header["schema"]["pattern"])
    for text in ("wait", "wait=1", "wait=5", "wait=59", "wait=60", "", "wait=0", "wait=x", "no"):
        assert bool(_WAIT.match(text)) == bool(theirs.match(text)), text
    assert theirs.match("wait=61")
    assert not _WAIT.match("wait=61")


def test_every_operation_has_a_route(account, document):
    """Nothing of the document is an unknown path, but what is not played."""
    for path, operations in document["paths"].items():
        filled = re.sub(r"\{[^}]*\}", "x", path)
        for method, operation in operations.items():
            name = operation["operationId"]
            if any(name.startswith(each) for each in NOT_PLAYED):
                continue
            answer = account.http.request(method.upper(), filled.lstrip("/"))
            assert answer.status_code != 405, name
            assert "no such route" not in answer.text, name


def test_statuses_are_its(document):
    """Those that the other tests of the emulator look for are the documented ones."""
    for operations in document["paths"].values():
        for operation in operations.values():
            if (status := STATUSES.get(operation["operationId"])) is not None:
                assert str(status) in operation["responses"], operation["operationId"]


def test_answers_are_as_documented(account, document):
    """The schemas that the document has: account, hardware, deployments."""
    account.deployment()
    for path, url in (
        ("/account", "account"),
        ("/hardware", "hardware"),
        ("/deployments", "deployments"),
        (ONE, "deployments/gpuhub-tester/tested"),
        ("/webhooks/default/secret", "webhooks/default/secret"),
    ):
        answer = account.http.get(url)
        described = document["paths"][path]["get"]["responses"]["200"]
        schema = described["content"]["application/json"]["schema"]
        shown = answer.json()
        if "next" in shown:  # the document says nullable, which JSON schema does not know
            shown = {name: each for name, each in shown.items() if each is not None}
        jsonschema.validate(shown, schema)
        known = schema.get("items", schema)["properties"]
        for each in shown if isinstance(shown, list) else [shown]:
            assert set(each) - {"next", "previous"} <= set(known) | {"results"}, path


@pytest.mark.parametrize(
    "given",
    [
        {"input": {}},
        {"version": "x"},
        {"version": "x", "input": {}, "webhook_events_filter": ["start", "completed"]},
        {"version": "x", "input": {}, "webhook_events_filter": ["end"]},
        {"version": "x", "input": []},
        {"version": 1, "input": {}},
        {"version": "x", "input": {}, "stream": True, "webhook": "https://x"},
        {"version": "x", "input": {}, "stream": "yes"},
        {"version": "x", "input": {}, "lifetime": "5m"},
    ],
)
def test_both_refuse_the_same_predictions(document, given):
    """What the document's schema takes ours takes, and what it refuses ours refuses."""
    schema = body_of(document, "/predictions", "post")
    theirs = jsonschema.Draft202012Validator(schema).is_valid(given)
    assert takes(bodies.VersionPredictionCreation, given) == theirs
