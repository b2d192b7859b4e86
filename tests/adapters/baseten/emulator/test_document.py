"""The emulator against Baseten's published OpenAPI documents and Truss's JSON schema."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from gpuhub_baseten.emulator import bodies
from gpuhub_baseten.emulator.config import Config
from tests.adapters.needed import published, takes

MANAGED: dict[str, type[BaseModel]] = {
    "PrepareModelUploadRequestV1": bodies.PrepareUpload,
    "DeploymentArchivePayloadV1": bodies.Payload,
    "CreateModelRequestV1": bodies.CreateModel,
    "ModelArchiveSourceV1": bodies.ModelArchive,
    "CreateModelDeploymentRequestV1": bodies.CreateDeployment,
    "DeploymentArchiveSourceV1": bodies.DeploymentArchive,
    "UpdateAutoscalingSettingsV1": bodies.Autoscaling,
    "UpdateRequestBackpressureSettingsV1": bodies.Backpressure,
    "UpdatePromotionSettingsV1": bodies.Promotion,
    "UpdateRollingDeployConfigV1": bodies.RollingDeploy,
    "UpdateDeploymentRequestV1": bodies.UpdateDeployment,
    "CreateEnvironmentRequestV1": bodies.CreateEnvironment,
    "UpdateEnvironmentRequestV1": bodies.UpdateEnvironment,
    "PromoteRequestV1": bodies.Promote,
    "PromoteToEnvironmentRequestV1": bodies.PromoteTo,
    "GetDeploymentLogsRequestV1": bodies.LogsQuery,
    "UpsertSecretRequestV1": bodies.UpsertSecret,
}
INFERRED: dict[str, type[BaseModel]] = {
    "AsyncPredictRequest": bodies.AsyncPredict,
    "InferenceRetryConfig": bodies.Retries,
}
OLDER = {"num_workers"}
"""Members that Truss reads and its schema does not name."""


@pytest.fixture(scope="module")
def management():
    """The management API."""
    return published("baseten-management-openapi.json")


@pytest.fixture(scope="module")
def inference():
    """The inference API."""
    return published("baseten-inference-openapi.json")


def plain(schema):
    """Follow an alternative to null."""
    options = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return options[0] if len(options) == 1 else schema


def check_members(document, name, model):
    """The same names, the same ones required, the same plain rules."""
    published = document["components"]["schemas"][name]
    fields = model.model_fields
    newer = bodies.NEWER.get(name, frozenset())
    assert set(fields) - newer == set(published["properties"])
    needed = {field for field, info in fields.items() if info.is_required()}
    assert needed == set(published.get("required", ()))
    ours = model.model_json_schema()["properties"]
    for member, theirs in published["properties"].items():
        one, other = plain(theirs), plain(ours[member])
        for rule in ("minimum", "maximum", "maxLength", "maxItems"):
            if rule in one:
                assert other.get(rule) == one[rule], f"{name}.{member}: {rule}"
        assert ours[member].get("default") == theirs.get("default") or theirs.get("default") in (
            *(None, []),
        ), f"{name}.{member}: default"


@pytest.mark.parametrize("name", MANAGED)
def test_our_models_have_the_management_members(management, name):
    """Beside those that only the newer client knows."""
    check_members(management, name, MANAGED[name])


@pytest.mark.parametrize("name", INFERRED)
def test_our_models_have_the_inference_members(inference, name):
    """All of them."""
    check_members(inference, name, INFERRED[name])


def test_our_reading_of_the_configuration_has_its_members():
    """Names and the rules of the parts that the emulator reads."""
    schema = published("baseten-truss-config.schema.json")
    assert set(Config.model_fields) == set(schema["properties"])
    ours = Config.model_json_schema()
    for part in ("Resources", "Runtime", "BaseImage", "DockerServer", "HealthChecks"):
        names = set(ours["$defs"][part]["properties"]) - OLDER - {"use_gpu"}
        assert names == set(schema["$defs"][part]["properties"]), part


def test_the_management_answers_have_its_form(account, validate):
    """Every answer is what the document says, whatever state things are in."""
    early = account.push()
    assert validate("DeploymentV1", early.shown()) == []
    assert validate("EnvironmentV1", early.environment()) == []
    early.settle()
    account.emulator.fail("crash", on="deploy")
    account.push().settle()
    account.http.post("/v1/secrets", json={"name": "A", "value": "b"})
    dates = {"start_date": "2026-01-01", "end_date": "2026-01-02"}
    model = f"/v1/models/{early.model_id}"
    for path, name in (
        ("/v1/models", "ModelsV1"),
        (model, "ModelV1"),
        (f"{model}/deployments", "DeploymentsV1"),
        (f"{model}/deployments/production", "DeploymentV1"),
        (f"{model}/environments", "EnvironmentsV1"),
        (f"{model}/environments/production", "EnvironmentV1"),
        (f"{early.path}/config", "DeploymentConfigResponseV1"),
        (f"{early.path}/logs", "GetLogsResponseV1"),
        ("/v1/secrets", "SecretsV1"),
        ("/v1/teams", "TeamsV1"),
        ("/v1/regions", "RegionsV1"),
        ("/v1/users/me", "UserInfoV1"),
        ("/v1/instance_types", "InstanceTypesV1"),
        ("/v1/instance_type_prices", "InstanceTypePricesV1"),
        ("/v1/billing/usage_summary", "UsageSummaryV1"),
    ):
        answer = account.http.get(path, params=dates if "billing" in path else None)
        assert answer.status_code == 200, path
        assert validate(name, answer.json()) == [], path
    limits = {"autoscaling_settings": {"max_replica": 2}}
    assert validate("PrepareModelUploadResponseV1", account.prepared("b")) == []
    for method, path, body, name in (
        ("PATCH", f"{model}/environments/production", limits, "UpdateEnvironmentResponseV1"),
        (
            *("PATCH", f"{early.path}/autoscaling_settings", {"max_replica": 3}),
            "UpdateAutoscalingSettingsResponseV1",
        ),
        ("POST", f"{early.path}/retry", {}, "RetryDeploymentResponseV1"),
        ("POST", f"{early.path}/deactivate", {}, "DeactivateResponseV1"),
        ("POST", f"{early.path}/activate", {}, "ActivateResponseV1"),
        ("POST", "/v1/secrets", {"name": "B", "value": "c"}, "SecretV1"),
        ("DELETE", "/v1/secrets/B", None, "SecretTombstoneV1"),
        ("DELETE", model, None, "ModelTombstoneV1"),
    ):
        answer = account.http.request(method, path, json=body)
        assert answer.status_code == 200, path
        assert validate(name, answer.json()) == [], path


def test_the_inference_answers_have_its_form(account, validate_inference):
    """Status of asynchronous requests, and errors."""
    made = account.model()
    request_id = made.submit(1).json()["request_id"]
    assert validate_inference("AsyncRequestStatusResponse", made.ended(request_id)) == []
    for answer in (
        made.call(1, target="environments/none"),
        account.http.post(f"{made.base}/production/async_predict", json={}),
        account.http.get(f"{made.base}/async_request/none"),
    ):
        assert answer.status_code in (400, 404)
        assert validate_inference("ErrorResponse", answer.json()) == []


def test_every_inference_route_is_known(account, inference):
    """But those of chains and of regional hosts, which are not played."""
    made = account.model()
    targets = {"{env_name}": "production", "{deployment_id}": made.id, "{request_id}": "none"}
    for path, operations in inference["paths"].items():
        tags = {tag for each in operations.values() for tag in each.get("tags", ())}
        if "run_remote" in path or "Regional" in tags:
            continue
        for place, value in targets.items():
            path = path.replace(place, value)  # noqa: PLW2901 - filled in
        for method in operations:
            answer = account.http.request(method, f"{made.base}{path}", json={"model_input": 1})
            assert "no such route" not in answer.text, (method, path)


@pytest.mark.parametrize(
    "fields",
    [
        {"min_replica": 1, "max_replica": 2},
        {"max_scale_down_rate": 20},
        {"max_scale_down_rate": 51},
        {"min_replicas": 1},
        {"scale_down_delay": "60"},
        {"concurrency_target": None},
        {},
    ],
)
def test_both_refuse_the_same_limits(validate, fields):
    """What the document's schema takes ours takes, and what it refuses ours refuses."""
    theirs = validate("UpdateAutoscalingSettingsV1", fields) == []
    assert takes(bodies.Autoscaling, fields) == theirs
