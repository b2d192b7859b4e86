"""The data plane: jobs from their submit to the end of their results."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpuhub_runpod.emulator import EmulatorOptions, Quota
from tests.adapters.waiting import until

SLOW = """
import asyncio
async def handler(job):
    await asyncio.sleep(300)
"""
COUNTING = """
async def handler(job):
    for number in range(job["input"]["count"]):
        yield {"number": number}
    if job["input"].get("fails"):
        raise ValueError("no more")
"""


def test_runsync_waits_for_the_result(account):
    """It comes with the job's times, and the worker's id."""
    endpoint = account.endpoint()
    answer = endpoint.runsync({"a": [0, None]})
    assert answer["id"].startswith("sync-")
    assert answer["status"] == "COMPLETED"
    assert answer["output"] == {"a": [0, None]}
    assert 3000 <= answer["delayTime"] < 30_000  # the cold start; more if it really took longer
    assert answer["workerId"] == endpoint.workers()[0]["id"]


def test_runsync_gives_up_its_wait_not_the_job(account, clock):
    """Past ``wait`` the state is not final; ``/status`` goes on."""
    account.emulator.fail("timeout", on="submit")
    endpoint = account.endpoint()
    answer = endpoint.runsync(wait=60_000)
    assert answer == {"id": answer["id"], "status": "IN_PROGRESS"}
    assert 60 <= clock.now() < 80  # a process that really starts lets time pass in slices
    assert endpoint.status(answer["id"])["status"] == "IN_PROGRESS"


@pytest.mark.parametrize("wait", ["999", "300001", "soon"])
def test_a_wait_has_bounds(account, wait):
    """1000 to 300000 milliseconds."""
    endpoint = account.endpoint()
    answer = endpoint.send("POST", f"runsync?wait={wait}", json={"input": {"x": 1}})
    assert answer.status_code == 400


def test_run_returns_at_once(account, clock):
    """The job waits in the queue until its worker is up."""
    endpoint = account.endpoint()
    job = endpoint.run()
    assert endpoint.status(job) == {"id": job, "status": "IN_QUEUE", "code": 200}
    clock.advance(3)
    assert endpoint.ended(job)["output"] == {"x": 1}


@pytest.mark.parametrize(("path", "kept"), [("run", 30 * 60), ("runsync", 60)])
def test_results_are_kept_for_a_while(account, clock, path, kept):
    """30 minutes those of ``/run``, one those of ``/runsync``."""
    endpoint = account.endpoint()
    endpoint.runsync()
    job = endpoint.run() if path == "run" else endpoint.runsync()["id"]
    endpoint.ended(job)
    clock.advance(kept - 1)
    assert endpoint.status(job)["code"] == 200
    clock.advance(2)
    assert endpoint.status(job)["code"] == 404


def test_a_job_that_lived_too_long_is_deleted(account, clock):
    """``policy.ttl`` counts the time in the queue; then there is no such job."""
    endpoint = account.endpoint(workers={"max": 0})
    job = endpoint.run(policy={"ttl": 10_000})
    clock.advance(9)
    assert endpoint.status(job)["status"] == "IN_QUEUE"
    clock.advance(2)
    assert endpoint.status(job)["code"] == 404
    assert endpoint.state.queue == type(endpoint.state.queue)()


@pytest.mark.parametrize("by", ["endpoint", "policy"])
def test_a_job_that_runs_too_long_times_out(account, clock, by):
    """By the endpoint's ``timeout``, or the job's own."""
    account.emulator.fail("timeout", on="submit")
    endpoint = account.endpoint(timeout=7_000 if by == "endpoint" else 300_000)
    job = endpoint.run(policy={"executionTimeout": 7_000} if by == "policy" else {})
    clock.advance(3)
    assert endpoint.status(job)["status"] == "IN_PROGRESS"
    clock.advance(6.9)
    assert endpoint.status(job)["status"] == "IN_PROGRESS"
    clock.advance(0.2)
    ended = endpoint.status(job)
    assert ended["status"] == "TIMED_OUT"
    assert ended["executionTime"] == 7_000


@pytest.mark.parametrize(
    "policy", [{"ttl": 9_999}, {"executionTimeout": 4_999}, {"executionTimeout": 604_800_001}]
)
def test_policies_have_bounds(account, policy):
    """10 s and 5 s at least, 7 days at most."""
    endpoint = account.endpoint()
    document = {"input": {"x": 1}, "policy": policy}
    assert endpoint.send("POST", "run", json=document).status_code == 400


@pytest.mark.parametrize(("path", "limit"), [("run", 10_000_000), ("runsync", 20_000_000)])
def test_bodies_have_a_limit(account, path, limit):
    """Exactly so many bytes pass; one more is 413."""
    endpoint = account.endpoint(handler="def handler(job): return len(job['input']['x'])")
    empty = json.dumps({"input": {"x": ""}}).encode()
    for size, status in ((limit, 200), (limit + 1, 413)):
        content = empty.replace(b'""', b'"' + b"x" * (size - len(empty)) + b'"')
        answer = endpoint.send("POST", path, content=content)
        assert answer.status_code == status
    assert len(endpoint.state.jobs) == 1


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"input": 3}', b'{"input": null}'])
def test_a_job_needs_an_input(account, content):
    """An object, in an object."""
    assert account.endpoint().send("POST", "run", content=content).status_code == 400


def test_an_empty_input_is_dropped(account, clock):
    """The worker is not given what is ``{}``, so its loop cannot run the job."""
    endpoint = account.endpoint("async def handler(job):\n    return sorted(job)")
    answer = endpoint.send("POST", "runsync", json={"input": {}, "s3Config": {"a": 1}})
    assert answer.json()["output"] == ["id", "s3Config"]


def test_a_handler_may_fail(account):
    """By an exception, told as JSON text, or by an ``error`` in what it returns."""
    raising = account.endpoint("def handler(job):\n    raise KeyError('nothing')")
    answer = raising.runsync()
    assert answer["status"] == "FAILED"
    told = json.loads(answer["error"])
    assert told["error_type"] == "<class 'KeyError'>"
    assert "line" in told["error_traceback"]
    saying = account.endpoint("def handler(job):\n    return {'error': 'no', 'part': 1}")
    answer = saying.runsync()
    assert (answer["status"], answer["error"], answer["output"]) == ("FAILED", "no", {"part": 1})


def test_an_empty_result_is_no_output(account):
    """``{}`` is eaten; other false values are not."""
    endpoint = account.endpoint("def handler(job):\n    return eval(job['input']['value'])")
    assert "output" not in endpoint.runsync({"value": "{}"})
    values: list[Any] = [False, 0, "", [], None]
    for value in values:
        assert endpoint.runsync({"value": repr(value)})["output"] == value


def test_a_queued_job_is_cancelled(account, clock):
    """It never runs."""
    endpoint = account.endpoint()
    job = endpoint.run()
    assert endpoint.send("POST", f"cancel/{job}").json()["status"] == "CANCELLED"
    clock.advance(60)
    assert endpoint.status(job)["status"] == "CANCELLED"
    assert endpoint.state.ended == {"CANCELLED": 1}


def test_a_running_job_is_cancelled_in_its_worker(account, clock):
    """The worker is told to stop it, and takes the next one."""
    endpoint = account.endpoint(SLOW, workers={"max": 1, "idleTimeout": 600})
    job = endpoint.run()
    clock.advance(3)
    until(lambda: endpoint.status(job)["status"] == "IN_PROGRESS")
    endpoint.send("POST", f"cancel/{job}")
    assert endpoint.status(job)["status"] == "CANCELLED"
    following = endpoint.run()
    until(lambda: endpoint.status(following)["status"] == "IN_PROGRESS")
    assert len(endpoint.workers()) == 1


def test_an_ended_job_stays_as_it_is(account):
    """Cancelling it changes nothing."""
    endpoint = account.endpoint()
    job = endpoint.runsync()["id"]
    assert endpoint.send("POST", f"cancel/{job}").json()["status"] == "COMPLETED"


def test_only_failed_jobs_are_retried(account, clock):
    """Under the same id, with the same input."""
    failing = account.endpoint("def handler(job):\n    raise ValueError")
    job = failing.runsync()["id"]
    assert failing.send("POST", f"retry/{job}").json() == {"id": job, "status": "IN_QUEUE"}
    assert failing.ended(job)["status"] == "FAILED"
    assert failing.send("GET", "health").json()["jobs"]["retried"] == 1
    good = account.endpoint()
    assert good.send("POST", f"retry/{good.runsync()['id']}").status_code == 400


def test_a_queue_is_purged(account, clock):
    """Jobs that wait; those that run go on."""
    account.emulator.fail("timeout", on="submit")
    endpoint = account.endpoint(workers={"max": 1})
    running = endpoint.run()
    clock.advance(3)
    waiting = [endpoint.run() for _ in range(3)]
    until(lambda: endpoint.status(running)["status"] == "IN_PROGRESS")
    answer = endpoint.send("POST", "purge-queue").json()
    assert answer == {"removed": 3, "status": "completed"}
    assert {endpoint.status(job)["status"] for job in waiting} == {"CANCELLED"}
    assert endpoint.status(running)["status"] == "IN_PROGRESS"


def test_a_stream_is_emptied_by_reading(account, clock):
    """Each item once; the end is a final state without items."""
    endpoint = account.endpoint(COUNTING)
    job = endpoint.run({"count": 3})
    clock.advance(3)
    endpoint.ended(job)
    first = endpoint.send("GET", f"stream/{job}").json()
    assert first["status"] == "COMPLETED"
    assert [item["output"]["number"] for item in first["stream"]] == [0, 1, 2]
    assert endpoint.send("GET", f"stream/{job}").json()["stream"] == []


def test_a_stream_that_fails_keeps_its_items(account, clock):
    """The error comes with the state."""
    endpoint = account.endpoint(COUNTING)
    job = endpoint.run({"count": 2, "fails": True})
    clock.advance(3)
    assert "no more" in endpoint.ended(job)["error"]
    assert len(endpoint.send("GET", f"stream/{job}").json()["stream"]) == 2
    assert "no more" in endpoint.send("GET", f"stream/{job}").json()["error"]


def test_health_counts_jobs_and_workers(account):
    """By state."""
    endpoint = account.endpoint()
    endpoint.runsync()
    health = endpoint.send("GET", "health").json()
    assert health["jobs"] == {
        "completed": 1,
        "failed": 0,
        "inProgress": 0,
        "inQueue": 0,
        "retried": 0,
    }
    assert (health["workers"]["idle"], health["workers"]["ready"]) == (1, 1)


def test_progress_is_shown_until_the_result(account, clock, tmp_path):
    """A worker may tell how far it is."""
    endpoint = account.endpoint(
        """
        import asyncio, os, runpod
        async def handler(job):
            await asyncio.to_thread(runpod.serverless.progress_update, job, "half way")
            while not os.path.exists(job["input"]["gate"]):
                await asyncio.sleep(0.005)
            return "whole way"
        """
    )
    gate = tmp_path / "gate"
    job = endpoint.run({"gate": str(gate)})
    clock.advance(3)
    until(lambda: endpoint.status(job).get("output") == "half way")
    assert endpoint.status(job)["status"] == "IN_PROGRESS"
    gate.touch()
    assert endpoint.ended(job)["output"] == "whole way"


@pytest.mark.parametrize("options", [EmulatorOptions(lookup_delay_s=2)])
def test_a_young_job_may_not_be_found_yet(account, clock):
    """404 for a moment after the submit."""
    endpoint = account.endpoint()
    job = endpoint.run()
    assert endpoint.status(job)["code"] == 404
    clock.advance(2)
    assert endpoint.status(job)["code"] == 200


@pytest.mark.parametrize("options", [EmulatorOptions(quotas={"run": Quota(2, 10)})])
def test_the_data_plane_has_limits_too(account, clock):
    """429 for each endpoint and operation."""
    endpoint, other = account.endpoint(), account.endpoint()
    document = {"input": {"x": 1}}
    answers = [endpoint.send("POST", "run", json=document) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "10"
    assert other.send("POST", "run", json=document).status_code == 200
    clock.advance(10)
    assert endpoint.send("POST", "run", json=document).status_code == 200


def test_the_end_is_told_to_a_webhook(account, receiver):
    """The job as ``/status`` shows it, POSTed."""
    job = account.endpoint().runsync(webhook=receiver.url)["id"]
    until(lambda: receiver.got)
    told = json.loads(receiver.got[0][1])
    assert (told["id"], told["output"]) == (job, {"x": 1})


def test_openai_routes_are_jobs(account):
    """The worker gets route and body; what it gives is the answer."""
    endpoint = account.endpoint("def handler(job):\n    return {'got': job['input']}")
    answer = endpoint.send("POST", "openai/v1/chat/completions", json={"model": "m"})
    assert answer.json() == {
        "got": {"openai_route": "/v1/chat/completions", "openai_input": {"model": "m"}}
    }


def test_an_unknown_endpoint_takes_no_jobs(account):
    """404."""
    for method, path in (("POST", "none/run"), ("GET", "none/status/x"), ("GET", "none/health")):
        answer = account.http.request(method, path, json={"input": {"x": 1}})
        assert answer.status_code == 404
        assert "error" in answer.json()
