"""Plans: golden requests, RunPod's own schema, a row for every field, nothing dropped."""

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
    Batching,
    Bucket,
    Image,
    Schedule,
    Secret,
    Volume,
    spec_fields,
)
from gpuhub.worker.target import Target
from gpuhub_runpod.defaults import Defaults
from gpuhub_runpod.gpus import CARDS
from tests.adapters import plans
from tests.adapters.plans import PYTHON, check_golden
from tests.adapters.runpod.plans import DEFAULTS, WITH_REGISTRY, create_body, plan

GOLDEN = Path(__file__).parent / "golden"

SPECS: dict[str, tuple[Defaults, dict[str, Any]]] = {
    "minimal": (DEFAULTS, {"image": PYTHON}),
    "cpu": (DEFAULTS, {"image": PYTHON, "cpu": 3, "memory": 12_000, "disk": 40}),
    "gpu": (
        Defaults(local_secrets_in_env=True),
        {
            "gpu": ["H100:2", "A100:2"],
            "disk": 100,
            "image": Image(python="3.12", pip=["torch==2.9"], apt=["ffmpeg"], commands=["true"]),
            "scaling": Scaling(
                min_workers=1, max_workers=8, idle_timeout=120, concurrency=4, scale_up_delay=3
            ),
            "timeout": 600,
            "idempotent": True,
            "env": {"MODEL": "small"},
            "secrets": ["HF_TOKEN", Secret.from_local_env("LOCAL_TOKEN")],
            "volumes": {"/models": Volume("models")},
            "regions": ["EU-RO-1", "US-TX"],
            "snapshot": "gpu",
            "min_cuda": "12.4",
            "options": {"runpod": {"prefetch": 1, "ttl": 3600}},
        },
    ),
    "own-image": (
        DEFAULTS,
        {
            "gpu": "L40S",
            "image": Image("docker.io/me/worker:1", registry_secret="my-registry"),
            "scaling": Scaling(target_in_flight=6),
        },
    ),
    "own-worker": (
        DEFAULTS,
        {
            "gpu": "L40S",
            "image": Image("docker.io/me/worker:1"),
            "options": {"runpod": {"image_has_worker": True, "flashboot": "PRIORITY_FLASHBOOT"}},
        },
    ),
    "registry": (
        WITH_REGISTRY,
        {
            "gpu": "B200",
            "image": Image(python="3.12", pip=["numpy>=2"]),
            "options": {"runpod": {"ship": "registry"}},
        },
    ),
    "web": (
        DEFAULTS,
        {
            "image": PYTHON,
            "gpu": "L4",
            "target": Target("shop.site", "app", "web", is_async=True),
            "scaling": Scaling(concurrency=16),
        },
    ),
}

CHANGES: dict[str, list[dict[str, Any]]] = {
    **plans.CHANGES,
    "target": [
        {"target": Target("shop.embedding", "other")},
        {"target": Target("shop.site", "app", "web")},
    ],
    "gpu": [{"gpu": each} for each in ("A100", "H100:2", ["H100", "L4"], "T4")],
    "cpu": [{"cpu": each} for each in (2, 3, 4, 64)],
    "memory": [{"memory": each} for each in (2048, 5000, 500_000)],
    "image.python": [{"image": Image(python="3.9")}, {"image": Image(python="3.10")}],
    "image.registry_secret": [{"image": Image("a/b:1", registry_secret="r")}],
    "scaling.idle_timeout": [{"scaling": Scaling(idle_timeout=each)} for each in (0, 2.5, 9000)],
    "scaling.target_in_flight": [
        {"scaling": Scaling(target_in_flight=3)},
        {"scaling": Scaling(target_in_flight=3, scale_up_delay=2)},
    ],
    "scaling.scale_up_delay": [{"scaling": Scaling(scale_up_delay=each)} for each in (0, 9)],
    "secrets": [{"secrets": "A"}, {"secrets": Secret.from_local_env("A")}],
    "volumes": [
        {"volumes": {"/a": Volume("a")}},
        {"volumes": {"/a": Volume("a"), "/b": Volume("b")}},
        {"volumes": {"/a": Bucket("s3://a/b")}},
    ],
    "regions": [{"regions": "EU-RO-1"}, {"regions": "EU"}],
    "min_cuda": [{"min_cuda": "12.4"}, {"gpu": "L4", "min_cuda": "12.4"}],
    "options": [{"options": {"modal": {"a": 1}}}, {"options": {"runpod": {"ttl": 60}}}],
}


def shown(plan: Plan) -> dict[str, Any]:
    """Give a plan for a golden file: code by its presence, since it changes with every edit."""
    document: dict[str, Any] = json.loads(json.dumps(plan.to_dict()))
    for name in ("spec", "bundle", "schema", "fingerprint"):
        del document[name]
    document["ship"]["size"] = "<size>"
    for request in document["requests"]:
        body = request.get("json", {})
        for name in [*body.get("env", {})]:
            if name.startswith(("GPUHUB_CODE_", "GPUHUB_BOOT")):
                body["env"][name] = "<code>"
        if "code" in body:
            body["code"]["bytes"] = "<size>"
            body["target"] = body["target"].rpartition("-")[0] + "-<digest>"
    return document


@pytest.mark.parametrize("name", SPECS)
def test_golden_plans(name):
    """What is sent, and what is said about it, changes only when somebody means it to."""
    defaults, settings = SPECS[name]
    document = shown(plan(defaults, **settings))
    check_golden(GOLDEN / f"{name}.json", document, 2)


@pytest.mark.parametrize("name", SPECS)
def test_bodies_are_what_runpod_documents(name, validate):
    """RunPod's own schema takes what is sent."""
    defaults, settings = SPECS[name]
    assert validate("CreateEndpointRequest", create_body(plan(defaults, **settings))) == []


def test_the_schema_does_refuse(validate):
    """The validator of these tests sees an unknown field and a wrong value."""
    body = create_body(plan())
    assert validate("CreateEndpointRequest", {**body, "gpuCount": 1})
    assert validate("CreateEndpointRequest", {**body, "workers": {"min": -1}})


def test_every_field_has_a_change():
    """A field that is added to the spec is added here."""
    assert set(CHANGES) == set(spec_fields())


@pytest.mark.parametrize("field", CHANGES)
def test_one_field_changes_the_plan_or_is_refused(field):
    """The row says something else, and what counts as sent is sent."""
    for change in CHANGES[field]:
        base = {"gpu": change["gpu"]} if field == "min_cuda" and "gpu" in change else {}
        before = plan(**base)
        try:
            after = plan(**change)
        except SpecError:
            continue
        old, new = before.row(field), after.row(field)
        assert new.set
        assert (old.native, old.value, old.reason) != (new.native, new.value, new.reason)
        if new.fidelity in (Fidelity.EXACT, Fidelity.APPROXIMATE):
            assert create_body(before) != create_body(after), f"{field}: {change}"


@pytest.mark.parametrize("field", CHANGES)
def test_changed_bodies_are_valid(field, validate):
    """Whatever a single setting makes of the body, RunPod's schema takes it."""
    for change in CHANGES[field]:
        try:
            body = create_body(plan(**change))
        except SpecError:
            continue
        assert validate("CreateEndpointRequest", body) == [], change


REFUSED = [
    ("scaling.idle_timeout", {"scaling": Scaling(target_in_flight=2, idle_timeout=60)}),
    ("scaling.idle_timeout", {"scaling": Scaling(idle_timeout=9000)}),
    ("scaling.target_in_flight", {"scaling": Scaling(target_in_flight=2, scale_up_delay=1)}),
    ("scaling.buffer_workers", {"scaling": Scaling(buffer_workers=1)}),
    ("scaling.scale_window", {"scaling": Scaling(scale_window=1)}),
    ("cpu", {"gpu": "L4", "cpu": 8}),
    ("memory", {"gpu": "L4", "memory": 8192}),
    ("min_cuda", {"min_cuda": "12.4"}),
    ("retries", {"retries": 1}),
    ("startup_timeout", {"startup_timeout": 10}),
    ("batching", {"batching": Batching(max_size=2, wait=1)}),
    ("schedule", {"schedule": Schedule(cron="0 6 * * 1")}),
    ("cloud", {"cloud": "aws"}),
    ("public", {"public": True}),
    ("secrets", {"secrets": Secret.from_local_env("A")}),
    ("volumes", {"volumes": {"/a": Bucket("s3://a/b")}}),
    ("volumes", {"volumes": {"/a": Volume("a"), "/b": Volume("b")}}),
    ("image.python", {"image": Image("a/b:1", python="3.12")}),
    ("timeout", {"target": Target("s", "app", "web"), "timeout": 400}),
    (
        "scaling.scale_up_delay",
        {"target": Target("s", "a", "web"), "scaling": Scaling(scale_up_delay=1)},
    ),
    (
        "image.pip",
        {
            "image": Image("a/b:1", pip="numpy"),
            "options": {"runpod": {"image_has_worker": True}},
        },
    ),
    (
        "scaling.concurrency",
        {
            "image": Image("a/b:1"),
            "scaling": Scaling(concurrency=2),
            "options": {"runpod": {"image_has_worker": True}},
        },
    ),
]


@pytest.mark.parametrize(("field", "settings"), REFUSED, ids=[*map(str, range(len(REFUSED)))])
def test_what_runpod_lacks_is_a_row(field, settings):
    """It says why, and the engine refuses it by default."""
    row = plan(**settings).row(field)
    assert row.fidelity is Fidelity.UNSUPPORTED
    assert row.set
    assert row.reason


def test_scaling_on_calls_leaves_the_idle_window_to_runpod():
    """A queue that scales on calls per worker takes no idle timeout, and a row says so."""
    made = plan(scaling=Scaling(target_in_flight=5))
    body = create_body(made)
    assert body["scaling"] == {"type": "REQUEST_COUNT", "requestCount": 5}
    assert "idleTimeout" not in body["workers"]
    assert made.row("scaling.idle_timeout").fidelity is Fidelity.UNSUPPORTED
    assert not made.row("scaling.idle_timeout").set


def test_a_web_function_scales_on_requests_and_keeps_its_window():
    """Load balancers take both."""
    body = create_body(plan(target=Target("s", "app", "web"), scaling=Scaling(concurrency=9)))
    assert body["type"] == "LOAD_BALANCER"
    assert body["scaling"] == {"type": "REQUEST_COUNT", "requestCount": 9}
    assert body["workers"]["idleTimeout"] == 60


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "gpu": st.lists(st.sampled_from(sorted(CARDS)), min_size=1, max_size=3, unique=True),
        "cpu": st.floats(0.5, 40),
        "memory": st.integers(1, 200_000),
        "disk": st.integers(1, 500),
        "timeout": st.floats(0.001, 604_800),
        "scaling": st.builds(
            Scaling,
            max_workers=st.integers(1, 50),
            idle_timeout=st.floats(0, 5000),
            concurrency=st.integers(1, 64),
            target_in_flight=st.none() | st.integers(1, 64),
            scale_up_delay=st.none() | st.floats(0, 100),
        ),
        "env": st.dictionaries(st.from_regex(r"[A-FH-QS-Z][A-Z]{0,5}", fullmatch=True), st.text()),
        "regions": st.lists(st.sampled_from(["EU-RO-1", "US", "CA-MTL"]), max_size=2),
        "snapshot": st.sampled_from(["off", "cpu", "gpu"]),
    },
)


@given(SETTINGS)
def test_any_plan_answers_for_every_field(validate, settings):
    """Every field once; every body one that RunPod's schema takes; or a refusal of ours."""
    try:
        made = plan(**settings)
    except GpuHubError:
        return
    assert sorted(row.field for row in made.rows) == sorted(spec_fields())
    assert validate("CreateEndpointRequest", create_body(made)) == []
    json.dumps(made.to_dict(), allow_nan=False)
