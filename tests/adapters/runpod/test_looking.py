"""Finding, connecting, and what the status says."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gpuhub.adapter import Rollout
from gpuhub.errors import (
    MalformedResponse,
    NotFound,
)
from gpuhub.worker.target import Target
from gpuhub_runpod.states import CHANGED
from tests.adapters.runpod.answers import API, DATA, described, reference, releases, worker

REF = reference()
FIRST = releases([])


def test_find_sees_what_gpuhub_made(lab, api):
    """Names are not unique at RunPod: only an endpoint with our mark counts, the oldest one."""
    ours = described(lab.body())
    foreign = {**described(lab.body()), "id": "ep0", "env": {}}
    later = {**ours, "id": "ep2", "createdAt": "2026-11-02T00:00:00Z"}
    other = {**ours, "id": "ep3", "name": "lab-other"}
    listing = {"endpoints": [foreign, later, ours, other]}
    api.get(f"{API}/serverless").respond(json=listing)
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    ref = lab.run(lab.adapter.find(lab.io, "lab-echo"))
    assert (ref.address, ref.fingerprint, ref.version) == ("ep1", "f" * 64, "1")
    assert lab.run(lab.adapter.find(lab.io, "lab-none")) is None


def test_find_reads_all_pages(lab, api):
    """RunPod pages some collections; this one may follow."""
    route = api.get(f"{API}/serverless")
    route.side_effect = [
        httpx.Response(
            200,
            json={"endpoints": [], "pagination": {"hasNextPage": True, "nextCursor": "c1"}},
        ),
        httpx.Response(200, json={"endpoints": [described(lab.body(), name="lab-echo -fb")]}),
    ]
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    assert lab.run(lab.adapter.find(lab.io, "lab-echo")).name == "lab-echo"
    assert route.calls.last.request.url.params["cursor"] == "c1"


def test_changed_limits_make_a_deploy_no_no_op(lab, api):
    """RunPod cuts workers.max by itself: then the fingerprint is not that of the plan."""
    there = described(lab.body())
    there["workers"]["max"] = 2
    api.get(f"{API}/serverless").respond(json={"endpoints": [there]})
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    ref = lab.run(lab.adapter.find(lab.io, "lab-echo"))
    assert ref.fingerprint == CHANGED
    assert ref.data["max_workers"] == "3"


def test_find_reads_damaged_bookkeeping(lab, api):
    """Somebody edited the variable in the console: the fingerprint still counts."""
    there = described(lab.body())
    there["env"]["GPUHUB_LIMITS"] = "{"
    api.get(f"{API}/serverless").respond(json={"endpoints": [there]})
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    assert lab.run(lab.adapter.find(lab.io, "lab-echo")).fingerprint == "f" * 64


def test_the_address_of_a_web_endpoint(lab, api):
    """RunPod's own base."""
    there = described(lab.body(target=Target("shop", "app", "web")))
    api.get(f"{API}/serverless/ep1").respond(json=there)
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    ref = lab.run(lab.adapter.connect(lab.io, "runpod", "ep1"))
    assert ref.url == "https://ep1.api.runpod.ai"


def test_connect_to_an_endpoint_of_gpuhubs(lab, api):
    """By its id; it speaks the envelope."""
    api.get(f"{API}/serverless/ep1").respond(json=described(lab.body()))
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    ref = lab.run(lab.adapter.connect(lab.io, "runpod", "ep1"))
    assert ref.made_by_gpuhub
    assert ref.name == "lab-echo"


def test_connect_to_a_foreign_endpoint(lab, api):
    """Bare JSON, and an address below which an OpenAI client finds its route."""
    there = {**described(lab.body()), "env": {"MODEL": "m"}, "name": "vllm"}
    api.get(f"{API}/serverless/ep1").respond(json=there)
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    ref = lab.run(lab.adapter.connect(lab.io, "runpod", "ep1"))
    assert not ref.made_by_gpuhub
    assert ref.url == f"{DATA}/ep1"


@pytest.mark.parametrize("status", [403, 404])
def test_connect_with_a_key_that_may_only_call(lab, api, status):
    """Endpoints of others, and keys without access to the control plane."""
    api.get(f"{API}/serverless/ep1").respond(status)
    api.get(f"{DATA}/ep1/health").respond(json={"jobs": {}, "workers": {}})
    ref = lab.run(lab.adapter.connect(lab.io, "runpod", "ep1"))
    assert (ref.address, ref.made_by_gpuhub) == ("ep1", False)


def test_connect_to_nothing(lab, api):
    """Neither plane knows it."""
    api.get(f"{API}/serverless/no%2Fne").respond(404)
    api.get(f"{DATA}/no%2Fne/health").respond(404, json={"error": "endpoint not found"})
    with pytest.raises(NotFound, match="endpoint not found"):
        lab.run(lab.adapter.connect(lab.io, "runpod", "no/ne"))


def status(lab: Any, api: Any, *workers: Any, ref: Any = REF, queue: int = 0, **facts: Any) -> Any:
    """Ask for the status of an endpoint with these workers."""
    there = {**described(lab.body()), **facts}
    api.get(f"{API}/serverless/ep1").respond(json=there)
    listing = {"workers": [*workers], "summary": {}, "endpointVersion": 4}
    api.get(f"{API}/serverless/ep1/workers").respond(json=listing)
    jobs = {"completed": 9, "failed": 0, "inProgress": 1, "inQueue": queue, "retried": 0}
    api.get(f"{DATA}/ep1/health").respond(json={"jobs": jobs, "workers": {}})
    return lab.run(lab.adapter.status(lab.io, ref))


def test_status_of_an_endpoint_at_zero(lab, api):
    """Ready: jobs are taken, and the next one starts a worker. Nothing but reading."""
    found = status(lab, api)
    assert found.rollout is Rollout.READY
    assert found.version == "4"
    assert (found.queue_depth, found.in_flight) == (0, 1)
    assert found.scaling["max_workers"] == 3
    assert found.scaling["idle_timeout"] == 60
    assert found.detail.startswith("scaled to zero")
    assert {call.request.method for call in api.calls} == {"GET"}


def test_status_counts_workers(lab, api):
    """By RunPod's five states."""
    states = ("RUNNING", "IDLE", "IDLE", "INITIALIZING", "THROTTLED", "UNHEALTHY")
    counts = status(lab, api, *map(worker, states)).workers
    assert (counts.running, counts.idle, counts.starting) == (1, 2, 1)
    assert (counts.throttled, counts.unhealthy) == (1, 1)


ACTIVE = {"workers": {"min": 1, "max": 3, "idleTimeout": 60}}
ROLLOUTS = [
    ([], {}, Rollout.READY),
    ([worker("INITIALIZING")], {}, Rollout.READY),
    ([worker("IDLE", isStale=True)], {}, Rollout.IN_PROGRESS),
    ([worker("RUNNING", isStale=True)], {}, Rollout.READY),
    ([worker("UNHEALTHY", isStale=True)], {}, Rollout.READY),
    ([worker("IDLE"), worker("UNHEALTHY")], {}, Rollout.READY),
    ([], ACTIVE, Rollout.IN_PROGRESS),
    ([worker("INITIALIZING")], ACTIVE, Rollout.IN_PROGRESS),
    ([worker("THROTTLED")], ACTIVE, Rollout.IN_PROGRESS),
    ([worker("IDLE")], ACTIVE, Rollout.READY),
    ([worker("RUNNING")], ACTIVE, Rollout.READY),
    ([worker("RUNNING", isStale=True)], ACTIVE, Rollout.IN_PROGRESS),
    ([], {"workers": {"min": 0, "max": 0}}, Rollout.STOPPED),
]


@pytest.mark.parametrize(
    ("workers", "facts", "rollout"), ROLLOUTS, ids=[*map(str, range(len(ROLLOUTS)))]
)
def test_routable(lab, api, workers, facts, rollout):
    """Read from the control plane; active workers are waited for."""
    assert status(lab, api, *workers, **facts).rollout is rollout


DIAGNOSES = [
    ([], {"workers": {"min": 0, "max": 0}}, 0, "paused: workers.max is 0"),
    ([], {"workers": {"min": 0, "max": 2}}, 0, "workers.max is 2, declared were 3"),
    ([worker("UNHEALTHY", isStale=True)], {}, 0, "cannot be pulled"),
    ([worker("THROTTLED")], {}, 5, "throttled: no free CPU"),
    (
        [worker("THROTTLED")],
        {"cpu": None, "gpu": {"pools": ["ADA_24"]}, "dataCenterIds": ["EU-RO-1"]},
        5,
        "no free ADA_24 in EU-RO-1",
    ),
    ([worker("INITIALIZING")], {}, 5, "a worker is starting"),
    ([], {}, 5, "5 calls wait and there is no worker"),
    ([worker("RUNNING"), worker("IDLE", isStale=True)], {}, 0, "1 of 2 workers still run"),
]


@pytest.mark.parametrize(
    ("workers", "facts", "queue", "words"), DIAGNOSES, ids=[*map(str, range(len(DIAGNOSES)))]
)
def test_why_nothing_happens(lab, api, workers, facts, queue, words):
    """What RunPod's queue alone would not tell."""
    assert words in status(lab, api, *workers, queue=queue, **facts).detail


def test_all_is_well(lab, api):
    """Then there is nothing to say."""
    assert status(lab, api, worker("RUNNING")).detail == ""


def test_a_failed_version_shows_its_log(lab, api):
    """The worker's last lines, the host's included."""
    log = (
        'id: 1\ndata: {"source":"system","line":"image not found","ts":"2026-11-01T00:00:00Z"}\n\n'
    )
    api.get(f"{API}/serverless/ep1/workers/w-unhealthy/logs").respond(200, text=log)
    found = status(lab, api, worker("UNHEALTHY"))
    assert found.rollout is Rollout.FAILED
    assert found.log_tail == ("image not found",)


def test_status_of_a_web_endpoint_asks_for_no_jobs(lab, api):
    """A load balancer has no queue."""
    there = described(lab.body(target=Target("shop", "app", "web")))
    api.get(f"{API}/serverless/ep1").respond(json=there)
    api.get(f"{API}/serverless/ep1/workers").respond(json={"workers": [], "summary": {}})
    found = lab.run(lab.adapter.status(lab.io, REF))
    assert found.queue_depth is None
    assert found.version == REF.version
    assert "target_in_flight" not in found.scaling


@pytest.mark.parametrize("answer", [{}, {"workers": 3}, []])
def test_a_status_that_is_none(lab, api, answer):
    """Another shape is malformed, not a crash."""
    api.get(f"{API}/serverless/ep1").respond(json=described(lab.body()))
    api.get(f"{API}/serverless/ep1/workers").respond(json=answer)
    api.get(f"{DATA}/ep1/health").respond(json={"jobs": {}})
    with pytest.raises(MalformedResponse) as caught:
        lab.run(lab.adapter.status(lab.io, REF))
    assert caught.value.provider == "runpod"
