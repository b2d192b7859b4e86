"""The mock's translation: golden plans, a row for every field, and nothing dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.adapter import Feature, Level
from gpuhub.adapter.prices import read_prices
from gpuhub.errors import GpuHubError, SpecError, UnknownGpu
from gpuhub.gpus import catalogue, gpu
from gpuhub.plan import Fidelity, Plan
from gpuhub.scaling import Scaling
from gpuhub.spec import (
    Batching,
    Bucket,
    FunctionSpec,
    Image,
    Schedule,
    Secret,
    Volume,
    spec_fields,
)
from gpuhub.worker.target import Target
from gpuhub_mock import translate
from gpuhub_mock.capabilities import CAPABILITIES
from gpuhub_mock.emulator.bodies import DeploymentBody
from gpuhub_mock.translate import make_plan
from tests.adapters import plans
from tests.adapters.plans import BUNDLE, TARGET, check_golden

GOLDEN = Path(__file__).parent / "golden"

SPECS: dict[str, dict[str, Any]] = {
    "minimal": {"image": Image(python="3.12")},
    "everything": {
        "gpu": ["H100:2", "A100", gpu(memory=">=40GB")],
        "cpu": 4,
        "memory": 16384,
        "disk": 100,
        "image": Image(
            "docker.io/me/worker:1",
            python="3.12",
            pip=["torch==2.9"],
            apt=["ffmpeg"],
            commands=["echo built"],
            registry_secret="registry",
        ),
        "scaling": Scaling(
            min_workers=1,
            max_workers=8,
            buffer_workers=2,
            idle_timeout=120,
            concurrency=4,
            target_in_flight=2,
            scale_up_delay=3,
            scale_window=30,
        ),
        "timeout": 600,
        "startup_timeout": 240,
        "retries": 2,
        "idempotent": True,
        "batching": Batching(max_size=8, wait=0.2),
        "env": {"MODEL": "small"},
        "secrets": ["HF_TOKEN", Secret.from_local_env("LOCAL_TOKEN")],
        "volumes": {
            "/models": Volume("models", size_gb=50),
            "/data": Bucket("s3://data/train", secret="S3_KEYS"),
        },
        "regions": ["eu", "us"],
        "cloud": "aws",
        "snapshot": "gpu",
        "min_cuda": "12.4",
        "options": {"mock": {"cold_start_s": 5, "build_s": 60}, "runpod": {"flashboot": True}},
    },
    "scheduled": {"image": Image(python="3.12"), "schedule": Schedule(cron="0 6 * * 1")},
    "web": {
        "image": Image(python="3.12"),
        "target": Target("shop.site", "app", "web", is_async=True),
        "public": True,
        "gpu": "L4",
    },
}

CHANGES: dict[str, list[dict[str, Any]]] = {
    **plans.CHANGES,
    "target": [
        {"target": Target("shop.embedding", "other")},
        {"target": Target("other", "embed")},
        {"target": Target("shop.embedding", "embed", "class")},
        {"target": Target("shop.embedding", "embed", is_async=True)},
    ],
    "gpu": [{"gpu": each} for each in ("T4", "A100", "H100:2", ["H100", "L4"], gpu(">=80GB"))],
    "image.python": [{"image": Image(python="3.9")}, {"image": Image(python="3.10")}],
    "image.registry_secret": [{"image": Image(registry_secret="r")}],
    "scaling.idle_timeout": [{"scaling": Scaling(idle_timeout=0)}],
    "timeout": [{"timeout": 301}],
    "env": [{"env": {"A": ""}}],
    "secrets": [{"secrets": ["A"]}, {"secrets": [Secret("A", env="B")]}],
    "volumes": [{"volumes": {"/m": Volume("m")}}, {"volumes": {"/m": Volume("m", read_only=True)}}],
    "schedule": [{"schedule": Schedule(every=60)}, {"schedule": Schedule(cron="* * * * *")}],
    "regions": [{"regions": "eu"}],
    "cloud": [{"cloud": "gcp"}],
    "min_cuda": [{"min_cuda": "12.0"}],
    "options": [{"options": {"mock": {"build_s": 1}}}, {"options": {"modal": {"a": 1}}}],
}


def spec_of(**settings: Any) -> FunctionSpec:
    """A spec with some settings."""
    return FunctionSpec(**{"app": "shop", "name": "embed", "target": TARGET, **settings})


def plan_of(**settings: Any) -> Plan:
    """The plan of a spec with some settings."""
    return make_plan(spec_of(**settings), BUNDLE)


def sent(plan: Plan) -> Any:
    """What a provider would see, and the report: not the spec itself."""
    shown = plan.to_dict()
    return {name: shown[name] for name in ("rows", "requests")}


def wire(plan: Plan) -> Any:
    """What a provider would see."""
    return [request.to_dict() for request in plan.requests]


@pytest.mark.parametrize("name", SPECS)
def test_golden_plans(name) -> None:
    """What is sent, and what is said about it, is as it was reviewed."""
    shown = plan_of(**SPECS[name]).to_dict()
    del shown["spec"]
    check_golden(GOLDEN / f"{name}.json", shown, 2)


@pytest.mark.parametrize("name", SPECS)
def test_every_field_has_one_row(name) -> None:
    """The report answers for all of them, and for nothing else."""
    assert sorted(row.field for row in plan_of(**SPECS[name]).rows) == sorted(spec_fields())


def test_every_field_has_a_change_in_this_test() -> None:
    """Adding a field to the spec without one fails here."""
    assert sorted(CHANGES) == sorted(spec_fields())


@pytest.mark.parametrize(
    ("field", "change"), [(field, change) for field in CHANGES for change in CHANGES[field]]
)
def test_no_field_is_dropped(field, change) -> None:
    """Change one field: the report changes in its row, or the check objects."""
    try:
        changed = plan_of(**change)
    except SpecError as error:
        assert field.split(".")[0] in str(error)  # noqa: PT017 - either is right
        return
    before = plan_of().row(field)
    after = changed.row(field)
    assert after != before, f"{field}: {change} leaves no trace in the report"
    told = after.value != before.value or after.reason != before.reason
    assert told, f"{field}: the row only says that it was set"
    assert after.set
    if after.native is not None:
        assert wire(changed) != wire(plan_of()), f"{field}: {after.native} is not sent"


@given(st.data())
def test_two_different_specs_have_different_plans(data) -> None:
    """Any combination of changes leaves its trace."""
    names = st.lists(st.sampled_from(sorted(CHANGES)), unique_by=lambda name: name.split(".")[0])
    settings: dict[str, Any] = {}
    for name in data.draw(names):
        settings |= data.draw(st.sampled_from(CHANGES[name]))
    try:
        spec, plain = spec_of(**settings), spec_of()
    except GpuHubError:
        return
    same = spec.model_dump(mode="json") == plain.model_dump(mode="json")
    assert (sent(make_plan(spec, BUNDLE)) == sent(make_plan(plain, BUNDLE))) is same


@pytest.mark.parametrize("name", SPECS)
def test_the_provider_takes_what_the_plan_sends(name) -> None:
    """Its strict model knows every field of the request."""
    plan = plan_of(**SPECS[name])
    steps = {"upload": {"digest": "d"}, "plan": {"fingerprint": "f"}}
    body = DeploymentBody.model_validate(plan.request("deploy", steps).json)
    assert (body.name, body.fingerprint, body.code.bundle) == ("shop-embed", "f", "d")
    assert body.calls.timeout_s == plan.spec.timeout
    assert body.workers.max == plan.spec.scaling.max_workers


def test_planning_twice_gives_the_same() -> None:
    """It depends on nothing but its arguments."""
    settings = SPECS["everything"]
    assert plan_of(**settings).to_dict() == plan_of(**settings).to_dict()


def test_capabilities_agree_with_the_rows() -> None:
    """What is declared native is exact or near; what is emulated says so in its row."""
    for field, changes in CHANGES.items():
        feature = next((each for each in Feature if each.value == field), None)
        if feature is None:
            continue
        level = CAPABILITIES[feature].level
        row = plan_of(**changes[0]).row(field)
        emulated = row.fidelity is Fidelity.EMULATED
        assert emulated is (level is Level.EMULATED), f"{field}: {level} but {row.fidelity}"


@pytest.mark.parametrize(
    ("asked", "card", "exact"),
    [
        ("H100", "H100", True),
        ("A100", "A100-80GB", False),
        ("A100-40GB", "A100-40GB", True),
        ("V100", "V100-32GB", False),
        (gpu(memory=">=24GB"), "V100-32GB", False),
        (gpu(memory=">=100GB"), "H200", False),
    ],
)
def test_what_a_gpu_becomes(asked, card, exact) -> None:
    """A family is narrowed to one card, a query to the cheapest, and the row says so."""
    plan = plan_of(gpu=asked)
    row = plan.row("gpu")
    assert row.value == [{"type": card, "count": 1}]
    assert (row.fidelity is Fidelity.EXACT) is exact
    assert exact or card in row.reason


def test_every_card_has_a_price() -> None:
    """The mock offers the whole catalogue."""
    assert set(read_prices(translate.__file__)["gpu"]) == {card.name for card in catalogue()}


def test_costs_are_fictional_and_add_up() -> None:
    """The source says that no provider charges them."""
    plan = plan_of(gpu="H100:2", cpu=4, memory=8192, scaling=Scaling(min_workers=3))
    each = 0.02 + 4 * 0.04 + 8 * 0.005 + 2 * 3.60
    assert plan.cost.worker_usd_per_hour == pytest.approx(each)
    assert plan.cost.idle_usd_per_hour == pytest.approx(3 * each)
    assert "fictional" in plan.cost.source
    assert plan_of().cost.idle_usd_per_hour == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cold_starts": 5}, "did you mean 'cold_start_s'"),
        ({"nonsense": 5}, "build_s, cold_start_s"),
        ({"cold_start_s": -1}, "at least 0"),
        ({"cold_start_s": "5"}, "seconds"),
        ({"cold_start_s": True}, "seconds"),
    ],
)
def test_options_are_checked(options, words) -> None:
    """Unknown and wrong ones are refused, with the nearest name."""
    with pytest.raises(SpecError, match="options") as caught:
        plan_of(options={"mock": options})
    assert words in str(caught.value)


def test_options_of_others_are_named() -> None:
    """They are ignored, and the row says so."""
    row = plan_of(options={"modal": {"a": 1}, "mock": {"build_s": 2}}).row("options")
    assert (row.value, row.native) == ({"build_s": 2}, "simulation")
    assert "modal" in row.reason


def test_a_secret_is_a_place_in_the_template() -> None:
    """A local one is filled in when it is sent, a stored one goes by name."""
    plan = plan_of(secrets=["STORED", Secret.from_local_env("LOCAL", env="TOKEN")])
    assert plan.requests[1].json["secrets"] == [
        {"name": "STORED", "env": "STORED"},
        {"name": "LOCAL", "env": "TOKEN", "value": "{{secret:LOCAL}}"},
    ]


def test_an_unknown_gpu() -> None:
    """Is refused by the spec, before any plan."""
    with pytest.raises(UnknownGpu):
        plan_of(gpu="H1000")
