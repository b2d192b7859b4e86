"""Plans: golden requests, a row for every field, what only Modal's server would check."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.errors import GpuHubError, SpecError, UnsupportedSetting
from gpuhub.plan import Fidelity, Plan
from gpuhub.scaling import Scaling
from gpuhub.spec import Batching, Bucket, Image, Schedule, Secret, Volume, spec_fields
from gpuhub.worker.target import Target
from gpuhub_modal.gpus import CARDS
from gpuhub_modal.translate import make_plan
from tests.adapters.plans import check_golden, inputs

GOLDEN = Path(__file__).parent / "golden"

SPECS: dict[str, dict[str, Any]] = {
    "minimal": {},
    "gpu": {
        "gpu": ["H100:2", "A100-80GB:2", "A100"],
        "cpu": 4,
        "memory": 65_536,
        "disk": 600,
        "image": Image(python="3.11", pip=["torch==2.9"], apt=["ffmpeg"], commands=["true"]),
        "scaling": Scaling(min_workers=1, max_workers=8, buffer_workers=2, idle_timeout=120),
        "timeout": 120,
        "startup_timeout": 900,
        "retries": 2,
        "idempotent": True,
        "env": {"MODEL": "small"},
        "secrets": ["HF_TOKEN", Secret("hf-other", env="OTHER"), Secret.from_local_env("LOCAL")],
        "volumes": {
            "/models": Volume("models", read_only=True),
            "/data": Bucket("s3://data/part", secret="aws"),
        },
        "regions": ["us-east", "eu"],
        "cloud": "gcp",
        "snapshot": "gpu",
        "options": {"modal": {"strategy": "recreate", "nonpreemptible": True, "cpu_limit": 8.0}},
    },
    "several": {
        "gpu": "A10",
        "scaling": Scaling(concurrency=8, target_in_flight=4),
        "snapshot": "cpu",
        "schedule": Schedule(cron="7 6 * * 1"),
    },
    "own-image": {"image": Image("docker.io/me/worker:1", registry_secret="hub")},
    "batch": {"batching": Batching(max_size=6, wait=0.25)},
    "stream": {"target": Target("shop.embedding", "tokens", "generator", is_async=True)},
    "web": {
        "target": Target("shop.site", "app", "web", is_async=True),
        "scaling": Scaling(concurrency=16),
        "options": {"modal": {"label": "shop"}},
    },
    "scheduled": {"schedule": Schedule(every=7200), "target": Target("a", "B", "class")},
}


def planned(**settings: Any) -> Plan:
    """Plan a function called ``demo-embed``."""
    return make_plan(*inputs("demo", **settings))


def function(plan: Plan) -> dict[str, Any]:
    """``FunctionCreate.function``."""
    body: dict[str, Any] = plan.request("function").json
    return body


def shown(plan: Plan) -> dict[str, Any]:
    """Everything that is sent."""
    requests = [request.to_dict() for request in plan.requests]
    rows = [row.to_dict() for row in plan.rows]
    return {"requests": requests, "rows": rows}


@pytest.mark.parametrize("name", SPECS)
def test_golden_plans(name):
    """Written by this test with UPDATE_GOLDEN=1; each change of a plan is a change to review."""
    check_golden(GOLDEN / f"{name}.json", shown(planned(**SPECS[name])))


@pytest.mark.parametrize("name", SPECS)
def test_every_field_has_a_row(name):
    """One, and no other."""
    assert sorted(row.field for row in planned(**SPECS[name]).rows) == sorted(spec_fields())


def test_planning_imports_no_sdk():
    """The SDK takes seconds to import."""
    import subprocess

    code = (
        "import sys, gpuhub_modal\n"
        "from gpuhub.spec import FunctionSpec\n"
        "from gpuhub.bundle import Bundle\n"
        "from gpuhub.worker.target import Target\n"
        "target = Target('a', 'b')\n"
        "spec = FunctionSpec(app='demo', name='b', target=target)\n"
        "from gpuhub_modal.translate import make_plan\n"
        "make_plan(spec, Bundle({}, target, 'ab' * 32))\n"
        "assert 'modal' not in sys.modules and 'grpclib' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("target", "settings", "name"),
    [
        (Target("a", "b"), {}, "call"),
        (Target("a", "b", is_async=True), {}, "call_async"),
        (Target("a", "B", "class"), {}, "call"),
        (Target("a", "B", "class", is_async=True), {}, "call_async"),
        (Target("a", "b", "generator"), {}, "stream"),
        (Target("a", "b", "generator", is_async=True), {}, "stream_async"),
        (Target("a", "b"), {"batching": Batching(max_size=2, wait=1)}, "batch"),
        (
            Target("a", "b", is_async=True),
            {"batching": Batching(max_size=2, wait=1)},
            "batch_async",
        ),
        (Target("a", "b", "web"), {}, "web"),
    ],
)
def test_the_entry_is_chosen_by_the_kind(target, settings, name):
    """Modal looks at the kind of what it calls; the name has no dot, the entry is one name."""
    body = function(planned(target=target, **settings))
    assert body["implementation_name"] == name
    assert "." not in body["function_name"]
    assert body["module_name"] == "gpuhub_modal.entry"
    is_generator = body["function_type"] == "FUNCTION_TYPE_GENERATOR"
    assert is_generator == (target.kind == "generator")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"cloud": "secure"}, "cloud"),
        ({"startup_timeout": 86_401}, "startup_timeout"),
        ({"disk": 3 * 1024 + 1}, "disk"),
        ({"batching": Batching(max_size=1001, wait=1)}, "batching.max_size"),
        ({"batching": Batching(max_size=2, wait=601)}, "batching.wait"),
        ({"gpu": "A10:5"}, "gpu"),
        ({"gpu": "H100:9"}, "gpu"),
        ({"gpu": "V100"}, "gpu"),
        ({"env": {"MODAL_TASK_ID": "x"}}, "MODAL_TASK_ID"),
        ({"secrets": Secret("mine", env="GPUHUB_X")}, "GPUHUB_X"),
        ({"volumes": {"/a": Volume("v"), "/b": Volume("v")}}, "volumes"),
        ({"volumes": {"/a": Bucket("azure://b")}}, "volumes"),
        ({"scaling": Scaling(concurrency=2, target_in_flight=3)}, "target_in_flight"),
        ({"options": {"modal": {"cpu_limit": 2.0}}}, "cpu_limit"),
        ({"options": {"modal": {"memory_limit": 512}}, "memory": 1024}, "memory_limit"),
        ({"options": {"modal": {"nonpreemptable": True}}}, "nonpreemptible"),
        ({"options": {"modal": {"strategy": "blue"}}}, "strategy"),
    ],
)
def test_what_modal_would_refuse_is_refused(settings, field):
    """With the field, the value and what to do; most of it only Modal's server would check."""
    with pytest.raises(SpecError, match=field) as caught:
        planned(**settings)
    assert caught.value.next_step


def test_a_batched_function_has_no_schedule():
    """Modal gives it its arguments, and a schedule has none."""
    with pytest.raises(UnsupportedSetting, match="batched"):
        planned(batching=Batching(max_size=2, wait=1), schedule=Schedule(every=60))


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"target": Target("a", "b", "generator"), "retries": 1}, ["retries"]),
        ({"target": Target("a", "b", "web"), "retries": 1}, ["retries"]),
        (
            {"target": Target("a", "b", "generator"), "batching": Batching(max_size=2, wait=1)},
            ["batching"],
        ),
        ({"target": Target("a", "b", "web"), "schedule": Schedule(every=60)}, ["schedule"]),
        ({"public": True}, ["public"]),
        ({"min_cuda": "12.4"}, ["min_cuda"]),
        (
            {"scaling": Scaling(scale_up_delay=1, scale_window=2)},
            ["scaling.scale_up_delay", "scaling.scale_window"],
        ),
        ({"image": Image(python="3.9")}, ["image.python"]),
    ],
)
def test_what_modal_lacks_is_in_the_rows(settings, fields):
    """Unsupported, with the reason; nothing of it is sent."""
    plan = planned(**settings)
    lacking = [row.field for row in plan.rows if row.set and row.fidelity is Fidelity.UNSUPPORTED]
    assert lacking == fields
    sent = {"retries": "retry_policy", "batching": "batch_max_size", "schedule": "schedule"}
    assert not {sent[field] for field in fields if field in sent} & set(function(plan))


@pytest.mark.parametrize(
    ("idle", "sent"), [(0, 2), (1.5, 2), (2, 2), (60, 60), (90.2, 91), (3600, 3600), (7200, 3600)]
)
def test_the_idle_window_is_clamped_and_told(idle, sent):
    """Whole seconds from 2 to 3600; what differs is approximate."""
    plan = planned(scaling=Scaling(idle_timeout=idle))
    assert function(plan)["autoscaler_settings"]["scaledown_window"] == sent
    row = plan.row("scaling.idle_timeout")
    assert (row.fidelity is Fidelity.EXACT) == (idle == sent)


def test_limits_are_sent_though_nobody_set_them():
    """Defaults of gpuhub's own, so that the provider's do not apply."""
    assert function(planned())["autoscaler_settings"] == {
        "min_containers": 0,
        "max_containers": 3,
        "buffer_containers": 0,
        "scaledown_window": 60,
    }
    assert function(planned())["retry_policy"]["retries"] == 0


@pytest.mark.parametrize(
    ("snapshot", "gpu", "prepare"),
    [
        ("off", "L4", True),
        ("cpu", None, True),
        ("cpu", "L4", False),
        ("gpu", "L4", True),
    ],
)
def test_setup_is_not_in_a_snapshot_that_has_no_gpu(snapshot, gpu, prepare):
    """Modal takes a memory snapshot where there is no GPU."""
    plan = planned(snapshot=snapshot, gpu=gpu)
    assert plan.request("mount").json["deployment"]["prepare"] is prepare


def test_secrets_are_places_in_the_plan():
    """The value is filled in when it is sent."""
    plan = planned(secrets=Secret.from_local_env("LOCAL", env="NAME"))
    (request,) = [each for each in plan.requests if each.step == "secret-local"]
    assert request.json == {"env_dict": {"NAME": "{{secret:LOCAL}}"}}


def test_variables_of_one_stored_secret_are_asked_for_together():
    """A Modal secret holds several."""
    plan = planned(secrets=[Secret("db", env="USER_NAME"), Secret("db", env="PASSWORD")])
    (request,) = [each for each in plan.requests if each.path == "SecretGetOrCreate"]
    assert request.json == {"deployment_name": "db", "required_keys": ["USER_NAME", "PASSWORD"]}


@given(
    gpu=st.sampled_from([None, *CARDS, "A100", "V100", "memory>=40GB"]),
    timeout=st.floats(0.1, 1e5),
    idle=st.floats(0, 1e4),
    least=st.integers(0, 5),
    most=st.integers(1, 20),
    concurrency=st.integers(1, 50),
    kind=st.sampled_from(["function", "class", "generator", "web"]),
    batch=st.sampled_from([None, 2, 2000]),
    snapshot=st.sampled_from(["off", "cpu", "gpu"]),
)
def test_any_spec_is_translated_or_refused(
    gpu, timeout, idle, least, most, concurrency, kind, batch, snapshot
):
    """With a row for each field, and numbers that Modal's protobuf takes."""
    try:
        plan = planned(
            gpu=gpu,
            timeout=timeout,
            scaling=Scaling(
                min_workers=least,
                max_workers=max(least, most),
                idle_timeout=idle,
                concurrency=concurrency,
            ),
            target=Target("a", "b", kind),
            batching=batch and Batching(max_size=batch, wait=1),
            snapshot=snapshot,
        )
    except GpuHubError as error:
        assert error.next_step  # noqa: PT017
        return
    assert sorted(row.field for row in plan.rows) == sorted(spec_fields())
    body = function(plan)
    assert isinstance(body["timeout_secs"], int)
    assert body["timeout_secs"] >= min(timeout, 1)
    assert 2 <= body["autoscaler_settings"]["scaledown_window"] <= 3600
    json.dumps([request.to_dict() for request in plan.requests], allow_nan=False)
