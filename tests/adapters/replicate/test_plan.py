"""Plans: golden requests, a row for every field, nothing dropped, names and versions checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.errors import ConfigError, GpuHubError, SpecError
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
from gpuhub_replicate.capabilities import capabilities
from gpuhub_replicate.defaults import Defaults
from gpuhub_replicate.gpus import HARDWARE
from gpuhub_replicate.translate import make_plan
from tests.adapters import plans
from tests.adapters.needed import published
from tests.adapters.plans import PYTHON, check_golden, inputs

GOLDEN = Path(__file__).parent / "golden"
DEFAULTS = Defaults()
VERSION = f"acme/model:{'ab' * 32}"

SPECS: dict[str, tuple[Defaults, dict[str, Any]]] = {
    "minimal": (DEFAULTS, {"image": PYTHON}),
    "gpu": (
        Defaults(owner="acme", secrets_in_image=True),
        {
            "gpu": ["H100:2", "A100:2"],
            "image": Image(python="3.12", pip=["torch==2.9"]),
            "scaling": Scaling(min_workers=1, max_workers=8, concurrency=4),
            "timeout": 600,
            "idempotent": True,
            "env": {"MODEL": "small"},
            "secrets": [Secret.from_local_env("LOCAL_TOKEN", env="TOKEN")],
            "options": {"replicate": {"model": "embedder"}},
        },
    ),
    "own-image": (
        Defaults(owner="acme", cog_runtime="base"),
        {"gpu": "L40S", "image": Image("docker.io/me/worker:1", python="3.12")},
    ),
    "generator": (DEFAULTS, {"target": Target("shop.words", "count", "generator", is_async=True)}),
    "cog": (
        Defaults(owner="acme", mode="cog"),
        {"gpu": "T4", "image": Image(python="3.12", pip="numpy", apt="ffmpeg", commands="true")},
    ),
    "version": (DEFAULTS, {"gpu": "T4", "options": {"replicate": {"version": VERSION}}}),
}

CHANGES: dict[str, list[dict[str, Any]]] = {
    **plans.CHANGES,
    "target": [
        {"target": Target("shop.embedding", "other")},
        {"target": Target("shop.embedding", "embed", "generator")},
    ],
    "gpu": [{"gpu": each} for each in ("A100", "H100:2", ["H100", "T4"], "L40S:8")],
    "image.python": [{"image": Image(python="3.10")}],
    "image.registry_secret": [{"image": Image("a/b:1", registry_secret="r")}],
    "scaling.idle_timeout": [{"scaling": Scaling(idle_timeout=90)}],
    "secrets": [{"secrets": "A"}, {"secrets": Secret.from_local_env("A")}],
    "volumes": [{"volumes": {"/a": Volume("a")}}, {"volumes": {"/a": Bucket("s3://a/b")}}],
    "regions": [{"regions": "EU"}],
    "min_cuda": [{"gpu": "T4", "min_cuda": "12.4"}],
    "options": [
        {"options": {"modal": {"a": 1}}},
        {"options": {"replicate": {"hardware": "gpu-a40-small"}}},
    ],
}


def plan(defaults: Defaults = DEFAULTS, **settings: Any) -> Plan:
    """Plan a function."""
    return make_plan(*inputs("shop", **settings), defaults)


def create_body(plan: Plan) -> dict[str, Any]:
    """Give the body as it is sent, what earlier steps gave filled in."""
    made = {"version": "cd" * 32}
    steps = {"account": {"username": "acme"}, "push": made, "cog": made}
    body: dict[str, Any] = plan.request("create", steps).json
    return body


@pytest.fixture(scope="session")
def problems_of() -> Any:
    """Compare a body with Replicate's OpenAPI document; gives the problems."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    paths = published("replicate-openapi.json")["paths"]

    def problems(path: str, body: Any) -> list[str]:
        schema = paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        strict = {**schema, "additionalProperties": False}
        return [each.message for each in jsonschema.Draft202012Validator(strict).iter_errors(body)]

    return problems


@pytest.mark.parametrize("name", SPECS)
def test_golden_plans(name):
    """What is sent, and what is said about it, changes only when somebody means it to."""
    defaults, settings = SPECS[name]
    document: dict[str, Any] = json.loads(json.dumps(plan(defaults, **settings).to_dict()))
    for member in ("spec", "bundle", "schema", "fingerprint"):
        del document[member]
    check_golden(GOLDEN / f"{name}.json", document, 2)


@pytest.mark.parametrize("name", SPECS)
def test_bodies_are_what_replicate_documents(name, problems_of):
    """Replicate's own schema takes what is sent."""
    defaults, settings = SPECS[name]
    made = plan(defaults, **settings)
    assert problems_of("/deployments", create_body(made)) == []
    if name != "version":
        body = made.request("model", {"account": {"username": "acme"}}).json
        assert problems_of("/models", body) == []


def test_the_schema_does_refuse(problems_of):
    """The validator of these tests sees an unknown field and a wrong value."""
    body = create_body(plan())
    assert problems_of("/deployments", {**body, "idle_timeout": 60})
    assert problems_of("/deployments", {**body, "min_instances": 6})


def test_every_field_has_a_change():
    """A field that is added to the spec is added here."""
    assert set(CHANGES) == set(spec_fields())


@pytest.mark.parametrize("field", CHANGES)
def test_one_field_changes_the_plan_or_is_refused(field):
    """The row says something else, and what counts as sent is sent."""
    for change in CHANGES[field]:
        base = {"gpu": change["gpu"]} if field == "min_cuda" else {}
        before, after = plan(**base), plan(**change)
        old, new = before.row(field), after.row(field)
        assert new.set
        assert (old.native, old.value, old.reason, old.fidelity) != (
            *(new.native, new.value, new.reason),
            new.fidelity,
        )
        if new.fidelity in (Fidelity.EXACT, Fidelity.APPROXIMATE):
            shown = [
                json.dumps([each.to_dict() for each in made.requests]) for made in (before, after)
            ]
            assert shown[0] != shown[1], f"{field}: {change}"


REFUSED = [
    ("cpu", {"cpu": 8}),
    ("memory", {"gpu": "T4", "memory": 8192}),
    ("disk", {"disk": 8}),
    ("image.apt", {"image": Image(python="3.12", apt="git")}),
    ("image.commands", {"image": Image(python="3.12", commands="true")}),
    ("image.registry_secret", {"image": Image("a/b:1", registry_secret="r")}),
    ("scaling.buffer_workers", {"scaling": Scaling(buffer_workers=1)}),
    ("scaling.idle_timeout", {"scaling": Scaling(idle_timeout=60)}),
    ("scaling.target_in_flight", {"scaling": Scaling(target_in_flight=2)}),
    ("scaling.scale_up_delay", {"scaling": Scaling(scale_up_delay=0)}),
    ("scaling.scale_window", {"scaling": Scaling(scale_window=1)}),
    ("startup_timeout", {"startup_timeout": 10}),
    ("retries", {"retries": 1}),
    ("batching", {"batching": Batching(max_size=2, wait=1)}),
    ("secrets", {"secrets": "A"}),
    ("secrets", {"secrets": Secret.from_local_env("A")}),
    ("volumes", {"volumes": {"/a": Volume("a")}}),
    ("schedule", {"schedule": Schedule(cron="0 6 * * 1")}),
    ("regions", {"regions": "EU"}),
    ("cloud", {"cloud": "aws"}),
    ("snapshot", {"snapshot": "gpu"}),
    ("min_cuda", {"gpu": "T4", "min_cuda": "12.4"}),
    ("public", {"public": True}),
    ("env", {"env": {"A": "1"}, "options": {"replicate": {"version": VERSION}}}),
    ("timeout", {"timeout": 60, "options": {"replicate": {"version": VERSION}}}),
    ("image.pip", {"image": Image(pip="x"), "options": {"replicate": {"version": VERSION}}}),
    (
        "scaling.concurrency",
        {"scaling": Scaling(concurrency=2), "options": {"replicate": {"version": VERSION}}},
    ),
]


@pytest.mark.parametrize(("field", "settings"), REFUSED, ids=[*map(str, range(len(REFUSED)))])
def test_what_replicate_lacks_is_a_row(field, settings):
    """It says why, and the engine refuses it by default."""
    row = plan(**settings).row(field)
    assert row.fidelity is Fidelity.UNSUPPORTED
    assert row.set
    assert row.reason


def test_a_default_function_deploys(lab):
    """Defaults that Replicate has no setting for are told, and stand in nobody's way."""
    made = plan()
    lacking = [row for row in made.rows if row.fidelity is Fidelity.UNSUPPORTED]
    assert [row.field for row in lacking] == ["scaling.idle_timeout"]
    assert not lacking[0].set
    assert "idle" in lacking[0].cost


def test_published_bounds_are_warnings():
    """Newer clients give none: the API refuses what it does not take."""
    least, most = plan(scaling=Scaling(min_workers=6, max_workers=21)).warnings
    assert "min_instances 6 is above 5" in least
    assert "max_instances 21 is above 20" in most
    assert not plan(scaling=Scaling(min_workers=5, max_workers=20)).warnings


def test_secrets_in_images_are_warned_about():
    """Allowed by the setting or by the function, never without a word."""
    secrets = [Secret.from_local_env("A")]
    for made in (
        plan(Defaults(secrets_in_image=True), secrets=secrets),
        plan(secrets=secrets, options={"replicate": {"secrets_in_image": True}}),
    ):
        assert made.row("secrets").fidelity is Fidelity.EMULATED
        assert "readable by everybody who may pull it" in made.warnings[0]
        assert made.request("push").json["env"]["A"] == "{{secret:A}}"
    assert "A" not in plan(secrets=secrets).request("push").json["env"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hardwear": "cpu"}, "did you mean 'hardware'"),
        ({"model": "Not A Name"}, "model"),
        ({"model": "-x"}, "model"),
        ({"version": "acme/model"}, "version"),
        ({"mode": "docker"}, "mode"),
        ({"secrets_in_image": 1}, "secrets_in_image"),
    ],
)
def test_options_are_checked(options, words):
    """Names, ids and spelling, when it is planned."""
    with pytest.raises(SpecError, match=words):
        plan(options={"replicate": options})


@pytest.mark.parametrize("name", ["COG_LOG_LEVEL", "PYTHONPATH", "PORT", "GPUHUB_TIMEOUT"])
def test_variables_of_the_worker_are_refused(name):
    """They decide what runs."""
    with pytest.raises(SpecError, match=name):
        plan(env={name: "x"})
    with pytest.raises(SpecError, match=name):
        plan(secrets=Secret("a", env=name))


def test_a_python_without_a_base_image_is_refused():
    """An image of yours may have any."""
    with pytest.raises(SpecError, match=r"3\.10, 3\.11, 3\.12, 3\.13 .asked: 3\.9"):
        plan(image=Image(python="3.9"))
    plan(image=Image("a/b:1", python="3.9"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mode": "docker"}, "mode is push or cog"),
        ({"cog_runtime": "none"}, "cog_runtime is wheels or base"),
        ({"run_limit": 0.0}, "run_limit"),
    ],
)
def test_settings_are_checked(make_lab, settings, words):
    """When the adapter is made."""
    with pytest.raises(ConfigError, match=words):
        make_lab(**settings)


def test_the_run_limit_can_be_raised(make_lab):
    """Replicate's support raises it; gpuhub checks timeouts against it."""
    assert make_lab().adapter.info.limits.timeout_s == 1800
    assert make_lab(run_limit=7200).adapter.info.limits.timeout_s == 7200


def test_the_way_decides_what_can_be_done():
    """Cog's CLI builds; a push does not."""
    pushed = capabilities(mode="push", secrets_in_image=False)
    built = capabilities(mode="cog", secrets_in_image=True)
    changed = {feature.value for feature in pushed if pushed[feature] != built[feature]}
    assert changed == {"image.apt", "image.commands", "image.reference", "secrets.local"}


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "gpu": st.lists(st.sampled_from(sorted(HARDWARE)), min_size=1, max_size=3, unique=True),
        "cpu": st.floats(0.5, 40),
        "timeout": st.floats(0.001, 604_800),
        "scaling": st.builds(
            Scaling,
            max_workers=st.integers(1, 50),
            idle_timeout=st.floats(0, 5000),
            concurrency=st.integers(1, 64),
            target_in_flight=st.none() | st.integers(1, 64),
        ),
        "env": st.dictionaries(st.from_regex(r"[A-BD-FH-O][A-Z]{0,5}", fullmatch=True), st.text()),
        "image": st.builds(Image, python=st.sampled_from(["3.10", "3.13", "3.14"])),
        "options": st.sampled_from([{}, {"replicate": {"mode": "cog"}}]),
    },
)


@given(SETTINGS)
def test_any_plan_answers_for_every_field(settings):
    """Every field once, in JSON; or a refusal of ours."""
    try:
        made = plan(**settings)
    except GpuHubError:
        return
    assert sorted(row.field for row in made.rows) == sorted(spec_fields())
    json.dumps(made.to_dict(), allow_nan=False)
