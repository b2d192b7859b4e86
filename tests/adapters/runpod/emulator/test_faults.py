"""What goes wrong, on every operation."""

from __future__ import annotations

import httpx
import pytest

from gpuhub.testing.emulator import Emulator, Fault
from gpuhub_runpod.emulator import RunPodEmulator
from tests.adapters.runpod.emulator.conftest import body
from tests.adapters.waiting import until

OPERATIONS = {
    "find": ("GET", "serverless"),
    "deploy": ("POST", "serverless"),
    "scale": ("PATCH", "serverless/{id}"),
    "versions": ("GET", "serverless/{id}/releases"),
    "logs": ("GET", "serverless/{id}/workers/x/logs"),
    "catalog": ("GET", "catalog/gpus"),
    "submit": ("POST", "{id}/run"),
    "poll": ("GET", "{id}/status/{job}"),
    "stream": ("GET", "{id}/stream/{job}"),
    "cancel": ("POST", "{id}/cancel/{job}"),
    "status": ("GET", "{id}/health"),
    "delete": ("DELETE", "serverless/{id}"),
}
REFUSALS = {"rate_limit": 429, "capacity": 503, "server_error": 500, "unauthorized": 401}
BODIES = {"deploy": body(), "scale": {"timeout": 1000}, "submit": {"input": {"x": 1}}}


def attempt(account, operation, fault):
    """Do one operation, with a fault, on a fresh endpoint with a job; give the answer."""
    endpoint = account.endpoint()
    job = endpoint.run()
    account.emulator.fail(fault, on=operation)
    method, path = OPERATIONS[operation]
    place = path.format(id=endpoint.id, job=job)
    return account.http.request(method, place, json=BODIES.get(operation)), endpoint


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_has_no_effect(account, operation, kind):
    """The request is answered with an error, in its plane's form, and nothing has changed."""
    answer, endpoint = attempt(account, operation, kind)
    assert answer.status_code == REFUSALS[kind]
    is_data = operation in ("submit", "poll", "stream", "cancel", "status")
    assert ("error" if is_data else "detail") in answer.json()
    assert ("Retry-After" in answer.headers) == (kind in ("rate_limit", "capacity"))
    assert len(account.http.get("serverless").json()["endpoints"]) == 1
    assert len(endpoint.state.jobs) == 1


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_answer_that_is_none(account, operation):
    """A page instead of JSON, after the request had its effect."""
    answer, _ = attempt(account, operation, "malformed")
    assert answer.headers["content-type"] == "text/html"


@pytest.mark.parametrize("operation", ["deploy", "submit", "delete"])
@pytest.mark.parametrize("code", [None, "halfway"])
def test_an_answer_that_is_lost(account, operation, code):
    """The connection is closed, before the answer or within it; the request had its effect."""
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        attempt(account, operation, Fault("lost_response", code=code))
    made = account.http.get("serverless").json()["endpoints"]
    assert len(made) == {"deploy": 2, "submit": 1, "delete": 0}[operation]
    if operation == "submit":
        assert len(account.emulator.endpoint(made[0]["id"]).jobs) == 2


def test_a_lost_answer_to_runsync_ran(account):
    """What was waited for had ended when its answer was lost."""
    endpoint = account.endpoint()
    account.emulator.fail("lost_response")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        endpoint.runsync()
    (job,) = endpoint.state.jobs.values()
    assert job.state == "COMPLETED"


def test_faults_have_words_of_their_own(account):
    """Status, code, message and the time to wait."""
    account.emulator.fail(Fault("rate_limit", status=420, code="calm", message="slow", delay_s=9))
    answer = account.endpoint().send("POST", "run", json={"input": {"x": 1}})
    assert answer.status_code == 420
    assert answer.json() == {"error": "slow", "code": "calm"}
    assert answer.headers["Retry-After"] == "9"


def test_a_fault_plays_as_often_as_it_should(account):
    """Then things are as they were."""
    endpoint = account.endpoint()
    account.emulator.fail("server_error", on="submit", times=2)
    document = {"input": {"x": 1}}
    statuses = [endpoint.send("POST", "run", json=document).status_code for _ in range(3)]
    assert statuses == [500, 500, 200]


def test_chance_repeats_itself(account):
    """The same seed gives the same faults."""
    endpoint = account.endpoint()
    account.emulator.fail_randomly("server_error", on="status", probability=0.5, seed=7)
    seen = [endpoint.send("GET", "health").status_code for _ in range(12)]
    assert set(seen) == {200, 500}


def test_a_worker_dies_under_a_call(account):
    """``crash`` on ``submit``: the job fails, the next one finds a worker."""
    endpoint = account.endpoint(workers={"idleTimeout": 600})
    account.emulator.fail("crash", on="submit")
    assert endpoint.runsync()["status"] == "FAILED"
    assert endpoint.runsync()["status"] == "COMPLETED"
    assert "container exited with code 137" in endpoint.log()


def test_a_worker_dies_within_a_stream(account, clock):
    """``crash`` on ``stream``: after the first item; the job is not repeated."""
    endpoint = account.endpoint(
        """
        async def handler(job):
            for number in range(5):
                yield number
        """
    )
    account.emulator.fail("crash", on="stream")
    job = endpoint.run()
    clock.advance(3)
    until(lambda: endpoint.status(job)["status"] == "FAILED")
    items = endpoint.send("GET", f"stream/{job}").json()["stream"]
    assert [item["output"] for item in items] == [0]


def test_it_has_the_face_of_all_emulators(account):
    """One protocol for every provider."""
    assert isinstance(account.emulator, Emulator)


def test_it_stops_twice_and_cleans_up():
    """No process, no folder, no listener is left."""
    emulator = RunPodEmulator()
    emulator.start()
    folder = emulator._folder
    assert folder.is_dir()
    emulator.stop()
    emulator.stop()
    assert not folder.exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(emulator.url, timeout=30, trust_env=False)
