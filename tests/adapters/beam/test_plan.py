"""Plans: golden requests, a row for every field, the kinds and why, clamps applied first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.errors import GpuHubError, SpecError, UnsupportedSetting
from gpuhub.plan import Fidelity, Plan
from gpuhub.scaling import Scaling
from gpuhub.spec import Bucket, Image, Schedule, Secret, Volume, spec_fields
from gpuhub.worker.target import Target
from gpuhub_beam.defaults import Defaults
from gpuhub_beam.gpus import CARDS
from gpuhub_beam.translate import make_plan
from tests.adapters.plans import check_golden, inputs

GOLDEN = Path(__file__).parent / "golden"
DEFAULTS = Defaults()

SPECS: dict[str, dict[str, Any]] = {
    "minimal": {},
    "gpu": {
        "gpu": ["H100:2", "A100-80GB:2"],
        "cpu": 4,
        "memory": 65_536,
        "image": Image(python="3.11", pip=["torch==2.9"], apt=["ffmpeg"], commands=["true"]),
        "scaling": Scaling(min_workers=1, max_workers=8, idle_timeout=120),
        "timeout": 120,
        "idempotent": True,
        "env": {"MODEL": "small"},
        "secrets": ["HF_TOKEN", Secret("hf-other", env="OTHER"), Secret.from_local_env("LOCAL")],
        "volumes": {"/models": Volume("models"), "/data": Bucket("s3://data/part", secret="A,B")},
        "options": {"beam": {"max_pending_tasks": 50, "callback_url": "https://me.example/done"}},
    },
    "queue": {"gpu": "L40S", "timeout": 3600, "scaling": Scaling(concurrency=2, max_workers=4)},
    "several": {
        "gpu": "A10G",
        "scaling": Scaling(concurrency=8, target_in_flight=4),
        "snapshot": "gpu",
    },
    "own-image": {
        "image": Image("docker.io/me/worker:1", registry_secret="HUB_USER,HUB_PASSWORD"),
        "retries": 2,
        "timeout": 60,
    },
    "stream": {"target": Target("shop.embedding", "tokens", "generator")},
    "web": {
        "target": Target("shop.site", "app", "web", is_async=True),
        "scaling": Scaling(concurrency=16),
        "public": True,
    },
    "scheduled": {"schedule": Schedule(every=7200)},
    "pool": {"gpu": "B200", "options": {"beam": {"kind": "endpoint", "pool": "mine"}}},
}


def planned(defaults: Defaults = DEFAULTS, /, **settings: Any) -> Plan:
    """Plan a function called ``demo-embed``."""
    return make_plan(*inputs("demo", **settings), defaults)


def stubs(plan: Plan) -> dict[str, dict[str, Any]]:
    """Kind -> the stub's body."""
    found = [request for request in plan.requests if request.step.startswith("stub-")]
    return {request.step.removeprefix("stub-"): request.json for request in found}


def shown(plan: Plan) -> dict[str, Any]:
    """Everything that is sent, but the code, whose hash differs with gpuhub's own worker."""
    requests = [request.to_dict() for request in plan.requests]
    for request in requests:
        if request["step"] in ("head", "object", "upload"):
            request.update(path="…", json="…", body="…")
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


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, ["endpoint", "taskqueue"]),
        ({"timeout": 600}, ["endpoint", "taskqueue"]),
        ({"timeout": 601}, ["taskqueue"]),
        ({"timeout": 300, "retries": 2}, ["taskqueue"]),
        ({"scaling": Scaling(concurrency=2)}, ["asgi", "taskqueue"]),
        ({"target": Target("a", "b", "generator")}, ["endpoint"]),
        ({"target": Target("a", "b", "generator"), "scaling": Scaling(concurrency=2)}, ["asgi"]),
        ({"target": Target("a", "b", "web")}, ["asgi"]),
        ({"options": {"beam": {"kind": "taskqueue"}}}, ["taskqueue"]),
        ({"options": {"beam": {"kind": "endpoint"}}}, ["endpoint"]),
        ({"schedule": Schedule(cron="7 6 * * 1")}, ["endpoint", "taskqueue", "schedule"]),
        ({"schedule": Schedule(every=60), "timeout": 900}, ["taskqueue", "schedule"]),
    ],
)
def test_the_kinds_are_chosen_and_shown(settings, kinds):
    """In the row of the target, with the reason; the main part is deployed last."""
    plan = planned(**settings)
    assert list(stubs(plan)) == kinds[::-1]
    assert plan.row("target").reason.startswith(" and ".join(kinds) + ": ")
    assert [request.step for request in plan.requests][-1] == f"deploy-{kinds[0]}"
    handlers = {"endpoint": "call", "asgi": "app", "taskqueue": "task", "schedule": "scheduled"}
    for kind, stub in stubs(plan).items():
        assert stub["handler"] == f"gpuhub_beam_entry:{handlers[kind]}"
        assert stub["stubType"] == f"{kind}/deployment"


def test_a_kind_that_cannot_be_is_refused():
    """A queue streams nothing."""
    options = {"beam": {"kind": "taskqueue"}}
    for kind in ("generator", "web"):
        with pytest.raises(UnsupportedSetting, match="queue"):
            planned(target=Target("a", "b", kind), options=options)


@pytest.mark.parametrize(
    "settings",
    [
        {"target": Target("a", "b", "generator"), "timeout": 601},
        {"options": {"beam": {"kind": "endpoint"}}, "timeout": 900},
    ],
)
def test_a_request_ends_after_ten_minutes(settings):
    """Refused with the reason; sent is what Beam would make of it."""
    plan = planned(**settings)
    assert plan.row("timeout").fidelity is Fidelity.UNSUPPORTED
    assert "600 s" in plan.row("timeout").reason
    assert stubs(plan)["endpoint"]["taskPolicy"]["timeout"] == "600"


def test_beams_clamps_are_applied_first():
    """Keep-warm below ten seconds, more containers than the gateway starts, longest wait."""
    plan = planned(
        Defaults(max_replicas=5), scaling=Scaling(idle_timeout=3.5, max_workers=9, min_workers=6)
    )
    main, queue = stubs(plan)["endpoint"], stubs(plan)["taskqueue"]
    assert main["keepWarmSeconds"] == queue["keepWarmSeconds"] == 10
    assert main["autoscaler"]["maxContainers"] == main["autoscaler"]["minContainers"] == 5
    assert queue["autoscaler"]["minContainers"] == 0
    assert plan.row("scaling.idle_timeout").fidelity is Fidelity.APPROXIMATE
    assert plan.row("scaling.max_workers").fidelity is Fidelity.APPROXIMATE
    assert queue["taskPolicy"] == {"timeout": "300", "maxRetries": 0, "ttl": 86_400}
    assert stubs(planned(scaling=Scaling(idle_timeout=0)))["endpoint"]["keepWarmSeconds"] == 0


def test_beam_never_runs_a_call_twice():
    """Retries are gpuhub's: Beam would run calls again whose container died."""
    for stub in stubs(planned(retries=5, timeout=10)).values():
        assert stub["taskPolicy"]["maxRetries"] == 0
        assert stub["taskPolicy"]["timeout"] == "60"
        assert "GPUHUB_RETRIES=5" in stub["env"]
        assert "GPUHUB_TIMEOUT=10" in stub["env"]


def test_cpu_functions_name_no_gpu():
    """Beam reads an empty one with a count as any."""
    for stub in stubs(planned()).values():
        assert not {"gpu", "gpuCount"} & set(stub)
    assert stubs(planned(gpu="H100:2"))["endpoint"]["gpuCount"] == 2


def test_defaults_of_cpu_and_memory_are_settings():
    """Beam's own 128 MB would hold no model."""
    stub = stubs(planned(Defaults(cpu=2, memory=512)))["endpoint"]
    assert (stub["cpu"], stub["memory"]) == ("2000", "512")
    assert stubs(planned(Defaults(gpu_memory=9000), gpu="L4"))["endpoint"]["memory"] == "9000"
    with pytest.raises(SpecError, match=r"0\.1 to 64"):
        planned(cpu=65)


def test_secrets_are_named_never_sent():
    """Local ones are stored under a name of their own, as templates in the plan."""
    plan = planned(**SPECS["gpu"])
    stub = stubs(plan)["endpoint"]
    names = [{"name": "HF_TOKEN"}, {"name": "hf-other"}, {"name": "GPUHUB_DEMO_EMBED_LOCAL"}]
    assert stub["secrets"] == names
    renamed = '{"LOCAL":"GPUHUB_DEMO_EMBED_LOCAL","OTHER":"hf-other"}'
    assert f"GPUHUB_SECRETS={renamed}" in stub["env"]
    store = next(request for request in plan.requests if request.step.startswith("secret-"))
    assert store.json["value"] == "{{secret:LOCAL}}"
    assert store.path == "/secret/{{workspace.external_id}}"


def test_mounts():
    """Volumes by id; a bucket whole, with a link into its part."""
    stub = stubs(planned(**SPECS["gpu"]))["endpoint"]
    volume, bucket = stub["volumes"]
    assert volume == {"id": "{{volume0.volume.id}}", "mountPath": "/models"}
    assert bucket["mountPath"] == "/mnt/gpuhub-buckets/data"
    assert bucket["config"]["accessKey"] == "A"
    assert 'GPUHUB_LINKS={"/data":"/mnt/gpuhub-buckets/data/part"}' in stub["env"]
    whole = stubs(planned(volumes={"/data": Bucket("s3://data")}))["endpoint"]["volumes"][0]
    assert whole["mountPath"] == "/data"
    assert whole["config"]["secretKey"] == "AWS_SECRET_ACCESS_KEY"
    for wrong in (Bucket("gs://data"), Bucket("s3://data", secret="ONE")):
        with pytest.raises(SpecError, match="volumes"):
            planned(volumes={"/data": wrong})


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("disk", {"disk": 50}),
        ("regions", {"regions": "eu"}),
        ("cloud", {"cloud": "aws"}),
        ("schedule", {"schedule": Schedule(every=3600), "target": Target("a", "b", "web")}),
        ("startup_timeout", {"startup_timeout": 60}),
        ("min_cuda", {"gpu": "H100", "min_cuda": "12.4"}),
        ("image.python", {"image": Image(python="3.13")}),
        ("scaling.buffer_workers", {"scaling": Scaling(buffer_workers=1)}),
        ("scaling.scale_up_delay", {"scaling": Scaling(scale_up_delay=5)}),
        ("scaling.scale_window", {"scaling": Scaling(scale_window=60)}),
        ("snapshot", {"gpu": "H100:2", "snapshot": "gpu"}),
        ("public", {"public": True, "timeout": 900}),
    ],
)
def test_what_beam_cannot_do_says_why(field, settings):
    """The engine refuses such rows."""
    row = planned(**settings).row(field)
    assert row.fidelity is Fidelity.UNSUPPORTED
    assert len(row.reason) > 10


@pytest.mark.parametrize("name", ["STUB_ID", "HANDLER", "BETA9_TOKEN", "GPUHUB_TIMEOUT"])
def test_variables_of_the_runner_are_refused(name):
    """The gateway would set them again, behind the user's."""
    with pytest.raises(SpecError, match=name):
        planned(env={name: "x"})
    with pytest.raises(SpecError, match=name):
        planned(secrets=Secret("mine", env=name))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kinds": "x"}, "did you mean 'kind'"),
        ({"kind": "pod"}, "beam.kind"),
        ({"ttl": 86_401}, "beam.ttl"),
        ({"max_pending_tasks": 0}, "max_pending_tasks"),
        ({"callback_url": "ftp://x"}, "callback_url"),
    ],
)
def test_options_are_checked(options, words):
    """And the error lists what there is."""
    with pytest.raises(SpecError, match=words) as caught:
        planned(options={"beam": options})
    assert "max_pending_tasks" in caught.value.next_step


def test_a_private_image_is_pulled_with_named_secrets():
    """Separated by commas, as the SDK lists them; and the image's own Python."""
    plan = planned(**SPECS["own-image"])
    build = next(request for request in plan.requests if request.step == "build").json
    assert build["existingImageCreds"] == {"HUB_USER": "", "HUB_PASSWORD": ""}
    assert build["pythonVersion"] == "python3"
    with pytest.raises(SpecError, match="registry_secret"):
        planned(image=Image("docker.io/me/worker:1", registry_secret="A,"))


@given(
    gpu=st.one_of(st.none(), st.sampled_from(sorted(CARDS))),
    least=st.integers(0, 3),
    most=st.integers(3, 20),
    concurrency=st.integers(1, 8),
    idle=st.floats(0, 5000),
    seconds=st.floats(1, 5000),
    retries=st.integers(0, 4),
    memory=st.one_of(st.none(), st.integers(1, 1_000_000)),
)
def test_whatever_is_asked_is_answered(
    gpu, least, most, concurrency, idle, seconds, retries, memory
):
    """A plan with all rows in whole JSON, within Beam's limits, or an error of gpuhub's."""
    scaling = Scaling(
        min_workers=least, max_workers=most, concurrency=concurrency, idle_timeout=idle
    )
    try:
        plan = planned(
            gpu=gpu or (), scaling=scaling, timeout=seconds, retries=retries, memory=memory
        )
    except GpuHubError:
        return
    assert len(plan.rows) == len(spec_fields())
    json.dumps(plan.to_dict(), allow_nan=False)
    for kind, stub in stubs(plan).items():
        assert stub["keepWarmSeconds"] == 0 or stub["keepWarmSeconds"] >= 10
        assert stub["autoscaler"]["maxContainers"] <= 10
        assert kind == "taskqueue" or int(stub["taskPolicy"]["timeout"]) <= 600
