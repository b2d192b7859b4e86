"""Plans: golden requests and configurations, a row for every field, nothing dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.errors import GpuHubError, SpecError
from gpuhub.plan import Fidelity, Plan
from gpuhub.scaling import Scaling
from gpuhub.spec import (
    Bucket,
    Image,
    Secret,
    Volume,
    spec_fields,
)
from gpuhub.worker.target import Target
from gpuhub_baseten.defaults import Defaults
from gpuhub_baseten.gpus import CARDS
from gpuhub_baseten.translate import files_of, make_plan
from tests.adapters import plans
from tests.adapters.needed import published
from tests.adapters.plans import PYTHON, check_golden, check_golden_text, inputs

GOLDEN = Path(__file__).parent / "golden"
DEFAULTS = Defaults()

SPECS: dict[str, tuple[Defaults, dict[str, Any]]] = {
    "minimal": (DEFAULTS, {"image": PYTHON}),
    "cpu": (DEFAULTS, {"image": PYTHON, "cpu": 0.5, "memory": 12_000}),
    "gpu": (
        Defaults(environment="staging", team_id="team1"),
        {
            "gpu": ["H100:2", "A100:2"],
            "cpu": 8,
            "memory": 65_536,
            "image": Image(
                python="3.12",
                pip=["torch==2.9", "transformers[torch]>=4; python_version < '3.13'"],
                apt=["ffmpeg"],
                commands=['echo "built: yes"'],
            ),
            "scaling": Scaling(
                min_workers=1, max_workers=8, idle_timeout=120, concurrency=4, scale_window=90
            ),
            "timeout": 600,
            "startup_timeout": 420,
            "idempotent": True,
            "env": {"MODEL": "small", "QUOTED": "a = 'b' \"c\" {{d}} ${e} é\n#", "YES": "yes"},
            "secrets": ["HF_TOKEN", Secret.from_local_env("LOCAL_TOKEN")],
            "volumes": {"/models": Bucket("s3://models/llama", secret="aws")},
            "regions": "us-east",
            "options": {"baseten": {"webhook": "https://me.example/done", "backpressure": None}},
        },
    ),
    "generator": (
        DEFAULTS,
        {
            "image": PYTHON,
            "target": Target("shop.embedding", "tokens", "generator"),
            "timeout": 90.5,
        },
    ),
    "own-image": (
        DEFAULTS,
        {
            "gpu": "L40S",
            "image": Image("ghcr.io/me/worker:1", registry_secret="my-registry"),
            "scaling": Scaling(target_in_flight=6),
            "options": {
                "baseten": {
                    "python_executable_path": "/opt/venv/bin/python",
                    "bdn": [{"source": "bdn:weights/llama:prod", "path": "/llama"}],
                    "egress_allow": ["huggingface.co"],
                    "streaming_read_timeout": 120,
                }
            },
        },
    ),
    "web": (
        DEFAULTS,
        {
            "image": PYTHON,
            "gpu": "L4",
            "target": Target("shop.site", "app", "web", is_async=True),
            "scaling": Scaling(concurrency=16),
            "secrets": "HF_TOKEN",
        },
    ),
}

CHANGES: dict[str, list[dict[str, Any]]] = {
    **plans.CHANGES,
    "target": [
        {"target": Target("shop.embedding", "other")},
        {"target": Target("shop.site", "app", "web")},
    ],
    "gpu": [{"gpu": each} for each in ("A100", "H100:2", ["H100", "L4"], "T4", "A40")],
    "cpu": [{"cpu": each} for each in (2, 0.25, 64)],
    "memory": [{"memory": each} for each in (2048, 5000)],
    "image.python": [{"image": Image(python=each)} for each in ("3.9", "3.10", "3.8", "3.15")],
    "image.registry_secret": [
        {"image": Image("a/b:1", registry_secret="r")},
        {"image": Image(registry_secret="r")},
    ],
    "scaling.idle_timeout": [{"scaling": Scaling(idle_timeout=each)} for each in (0, 2.5, 9000)],
    "scaling.scale_up_delay": [{"scaling": Scaling(scale_up_delay=each)} for each in (0, 9)],
    "scaling.scale_window": [{"scaling": Scaling(scale_window=each)} for each in (1, 61, 9000)],
    "timeout": [{"timeout": 301}, {"timeout": 0.5}, {"timeout": 1201}],
    "env": [{"env": {"A": "1"}}, {"env": {"PORT": "1"}}],
    "secrets": [{"secrets": "A"}, {"secrets": Secret.from_local_env("A")}],
    "volumes": [
        {"volumes": {"/a": Volume("a")}},
        {"volumes": {"/a": Bucket("s3://a/b")}},
        {"volumes": {"/a": Bucket("ftp://a/b")}},
        {"volumes": {"/a": Bucket("s3://a/b", read_only=False)}},
        {"volumes": {"/a": Bucket("s3://a/b", endpoint_url="https://x")}},
    ],
    "regions": [{"regions": "us-east"}, {"regions": ["us-east", "eu"]}],
    "min_cuda": [{"gpu": "L4", "min_cuda": "12.4"}],
    "options": [{"options": {"baseten": {"instance_type": "L4:4x16"}}}, {"options": {"x": {}}}],
}


def planned(defaults: Defaults = DEFAULTS, **settings: Any) -> Plan:
    """Plan a function called ``lab-embed``."""
    return make_plan(*inputs("lab", **settings), defaults)


def shown(plan: Plan) -> dict[str, Any]:
    """Give what a reviewer compares, without what hangs on gpuhub's own files."""
    document = plan.to_dict()
    document["ship"]["size"] = "…"
    for request in document["requests"]:
        request.pop("body", None)
        payload = request.get("json", {})
        for holder in (payload, payload.get("source", {})):
            if "deployment" in holder:
                labels = {**holder["deployment"]["labels"], "gpuhub_archive": "…"}
                replaced = {"raw_config": "…", "labels": labels}
                holder["deployment"] = {**holder["deployment"], **replaced}
    return {name: document[name] for name in ("ship", "cost", "rows", "requests")}


@pytest.mark.parametrize("name", SPECS)
def test_golden_plans(name):
    """Rows and requests are what was reviewed."""
    defaults, settings = SPECS[name]
    check_golden(GOLDEN / f"{name}.json", shown(planned(defaults, **settings)))


@pytest.mark.parametrize("name", SPECS)
def test_golden_configurations(name):
    """``config.yaml`` is what was reviewed, and what travels beside the archive as text."""
    defaults, settings = SPECS[name]
    plan = planned(defaults, **settings)
    text = files_of(plan)["config.yaml"].decode()
    check_golden_text(GOLDEN / f"{name}.config.yaml", text)
    sent = plan.request("deploy").json["source"]["deployment"]
    assert sent["raw_config"] == text


@pytest.mark.parametrize("name", SPECS)
def test_bodies_fit_the_published_document(name, validate):
    """The push's bodies, as far as the document of August knows their members."""
    defaults, settings = SPECS[name]
    plan = planned(defaults, **settings)
    prepare, deploy = plan.request("prepare").json, plan.request("deploy").json
    assert prepare["deployment"] == deploy["source"]["deployment"]
    assert validate("DeploymentArchivePayloadV1", prepare["deployment"]) == []
    assert validate("PrepareModelUploadRequestV1", prepare) == []
    settings = prepare["deployment"]["autoscaling_settings"]
    assert validate("UpdateAutoscalingSettingsV1", settings) == []


@pytest.mark.parametrize("name", SPECS)
def test_configurations_fit_truss_schema(name):
    """The JSON Schema of Truss 0.18.35 takes them, and knows every key."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = published("baseten-truss-config.schema.json")
    defaults, settings = SPECS[name]
    config = planned(defaults, **settings).request("prepare").json["deployment"]["config"]
    problems = list(jsonschema.Draft202012Validator(schema).iter_errors(config))
    assert [problem.message for problem in problems] == []
    assert set(config) <= set(schema["properties"])


def test_every_field_is_changed_here():
    """A field that is added to the spec is also added to this test."""
    assert set(CHANGES) == set(spec_fields())


@pytest.mark.parametrize(
    ("field", "change"),
    [(field, change) for field, changes in CHANGES.items() for change in changes],
    ids=str,
)
def test_nothing_is_dropped(field, change):
    """Each change is refused, or changes what is sent, or its row says why it does not."""
    before = planned()
    try:
        after = planned(**change)
    except SpecError as error:
        assert field.rpartition(".")[2] in error.message  # noqa: PT017
        assert error.next_step  # noqa: PT017
        return
    row = after.row(field)
    sent = [json.dumps([each.to_dict() for each in plan.requests]) for plan in (before, after)]
    if row.fidelity in (Fidelity.UNSUPPORTED, Fidelity.EMULATED):
        assert len(row.reason) > 5
    else:
        assert sent[0] != sent[1]


@pytest.mark.parametrize("card", CARDS)
def test_every_card_can_be_asked_for(card):
    """By its canonical name, exactly."""
    plan = planned(gpu=f"{card}:2")
    assert plan.row("gpu").fidelity is Fidelity.EXACT
    assert plan.row("gpu").value == f"{CARDS[card]}:2"


def test_bare_a100_is_the_80_gb_card():
    """And the row says so."""
    row = planned(gpu="A100").row("gpu")
    assert (row.value, row.fidelity) == ("A100", Fidelity.APPROXIMATE)
    assert "A100-80GB" in row.reason


def test_the_gpu_asked_for_is_the_gpu_used():
    """An environment keeps its old instance type unless told otherwise; it is always named."""
    deployment = planned().request("prepare").json["deployment"]
    assert deployment["preserve_env_instance_type"] is False
    assert deployment["environment_name"] == "production"
    assert deployment["create_environment_if_missing"] is True


def test_another_worker_is_another_deployment(monkeypatch):
    """An update of gpuhub may change what is shipped beside the project: it is no no-op."""
    before = planned().request("deploy").json["source"]["deployment"]["labels"]
    monkeypatch.setattr("gpuhub_baseten.package._COMMENT", "another comment")
    after = planned().request("deploy").json["source"]["deployment"]["labels"]
    assert before["gpuhub_archive"] != after["gpuhub_archive"]


def test_concurrency_is_in_both_places():
    """In the image and in the autoscaler, and the rows say which change needs a deploy."""
    plan = planned(scaling=Scaling(concurrency=5))
    deployment = plan.request("prepare").json["deployment"]
    assert deployment["config"]["runtime"]["predict_concurrency"] == 5
    assert deployment["autoscaling_settings"]["concurrency_target"] == 5
    assert "needs a deploy" in plan.row("scaling.concurrency").reason
    assert "without a deploy" in plan.row("scaling.target_in_flight").reason


def test_a_webhook_is_a_label():
    """So that spawns from another machine know it."""
    webhook = "https://me.example/done"
    plan = planned(timeout=3600, options={"baseten": {"webhook": webhook}})
    labels = plan.request("prepare").json["deployment"]["labels"]
    assert labels["gpuhub_webhook"] == webhook
    assert plan.row("timeout").fidelity is Fidelity.APPROXIMATE
    assert "webhook" in planned(timeout=3600).row("timeout").reason


@given(st.data())
def test_any_spec_plans_or_objects(data):
    """Every row is answered and the JSON form holds, whatever combination is asked."""
    settings: dict[str, Any] = {}
    for field in data.draw(st.lists(st.sampled_from(sorted(CHANGES)), max_size=4, unique=True)):
        for name, value in data.draw(st.sampled_from(CHANGES[field])).items():
            settings.setdefault(name, value)
    try:
        plan = planned(**settings)
    except GpuHubError as error:
        assert error.next_step  # noqa: PT017
        return
    assert sorted(row.field for row in plan.rows) == sorted(spec_fields())
    json.dumps(plan.to_dict(), allow_nan=False)
