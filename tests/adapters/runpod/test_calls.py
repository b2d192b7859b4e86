"""Jobs: how they are sent, at most once, and what RunPod's answers come to."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from gpuhub._engine.calls import CallSettings
from gpuhub.adapter import CallOptions, CallRef, CancelReceipt, Phase
from gpuhub.errors import (
    AuthFailed,
    CallFailed,
    MalformedResponse,
    NotFound,
    OutcomeUnknown,
    PayloadTooLarge,
    ProviderUnavailable,
    RateLimited,
    RemoteError,
)
from tests.adapters.routes import sent
from tests.adapters.runpod.answers import DATA, JOB, reference, state

REF = reference()
WAITED = CallOptions(None, 90.0)
SPAWNED = CallOptions()


def submit(lab: Any, options: CallOptions = WAITED, payload: bytes = b'{"a":1}', ref=REF) -> Any:
    """Send a job."""
    return lab.run(lab.adapter.submit(lab.io, ref, payload, options))


def test_a_waited_call_is_one_request(lab, api):
    """/runsync with the longest wait below what proxies cut; the end comes in the answer."""
    answer = state("COMPLETED", output={"result": 5}, delayTime=1500, executionTime=20)
    route = api.post(f"{DATA}/ep1/runsync").respond(json={**answer, "workerId": "w1"})
    found = submit(lab)
    assert route.calls.last.request.url.params["wait"] == "90000"
    assert route.calls.last.request.headers["authorization"] == "Bearer rpa_SECRET"
    assert sent(route) == {"input": {"a": 1}, "policy": {"executionTimeout": 300000}}
    assert found.phase is Phase.SUCCEEDED
    assert json.loads(found.output) == {"result": 5}
    assert (found.queued_s, found.run_s, found.worker) == (1.5, 0.02, "w1")
    assert found.ref == JOB


def test_a_spawned_call_goes_to_run(lab, api):
    """It returns at once, with the id."""
    route = api.post(f"{DATA}/ep1/run").respond(json={"id": "7-u1", "status": "IN_QUEUE"})
    found = submit(lab, CallOptions(webhook="https://example.com/hook"))
    assert found.phase is Phase.QUEUED
    assert sent(route)["webhook"] == "https://example.com/hook"
    assert found.ref.id == "7-u1"


def test_a_call_that_outlasts_the_wait_is_polled(lab, api):
    """/runsync gives a job that goes on; /status tells its end."""
    api.post(f"{DATA}/ep1/runsync").respond(json=state("IN_PROGRESS"))
    status = api.get(f"{DATA}/ep1/status/sync-7-u1")
    status.side_effect = [
        httpx.Response(200, json=state("IN_QUEUE")),
        httpx.Response(200, json=state("COMPLETED", output={"result": 1})),
    ]
    calls = lab.session.calls
    found = lab.session.run(lambda io: calls.invoke(io, REF, b"{}", CallSettings(record=False)))
    assert json.loads(found.output) == {"result": 1}
    assert status.call_count == 2


@pytest.mark.parametrize("payload", [b"{}", b" {} "])
def test_no_arguments_are_said(lab, api, payload):
    """RunPod drops an empty input, and the worker's SDK refuses a job without one."""
    route = api.post(f"{DATA}/ep1/run").respond(json={"id": "1", "status": "IN_QUEUE"})
    submit(lab, SPAWNED, payload)
    assert sent(route)["input"] == {"__empty": True}


def test_arguments_go_as_they_are(lab, api):
    """They are not read and written again."""
    route = api.post(f"{DATA}/ep1/run").respond(json={"id": "1", "status": "IN_QUEUE"})
    submit(lab, SPAWNED, '{"b":1.50,"a":"ü"}'.encode())
    assert b'{"b":1.50,"a":"\xc3\xbc"}' in route.calls.last.request.content


@pytest.mark.parametrize(
    ("budget", "path", "wait"),
    [(30.0, "runsync", "27000"), (400.0, "runsync", "90000"), (1.5, "run", None)],
)
def test_a_budget_leaves_time_to_cancel(lab, api, budget, path, wait):
    """The answer with the id comes before the budget ends; less than RunPod's least wait: none."""
    route = api.post(f"{DATA}/ep1/{path}").respond(json=state("IN_PROGRESS"))
    submit(lab, CallOptions(budget, min(90.0, budget)))
    assert route.calls.last.request.url.params.get("wait") == wait
    policy = sent(route)["policy"]
    assert policy["ttl"] == int((budget + 60) * 1000)


def test_a_spawned_call_outlives_its_callers_budget(lab, api):
    """Its result may be fetched much later."""
    route = api.post(f"{DATA}/ep1/run").respond(json={"id": "1", "status": "IN_QUEUE"})
    submit(lab, CallOptions(30.0, 0.0))
    assert "ttl" not in sent(route)["policy"]


def test_policies_of_the_deployment(lab, api):
    """Time limits outside of what a job takes are left to the endpoint."""
    route = api.post(f"{DATA}/ep1/run").respond(json={"id": "1", "status": "IN_QUEUE"})
    submit(lab, SPAWNED, ref=reference(data={"ttl_ms": "3600000", "timeout_ms": "2000"}))
    assert sent(route)["policy"] == {"ttl": 3600000}
    submit(lab, SPAWNED, ref=reference(data={"timeout_ms": "0"}))
    assert "policy" not in sent(route)


def test_a_job_above_the_limit_is_not_sent(lab, api):
    """20 MB waited for, 10 MB spawned, the wrapper included."""
    api.post(f"{DATA}/ep1/runsync").respond(json=state("IN_QUEUE"))
    payload = b'{"a":"' + b"x" * 19_990_000 + b'"}'
    assert submit(lab, WAITED, payload).phase is Phase.QUEUED
    with pytest.raises(PayloadTooLarge, match="20,000,000"):
        submit(lab, WAITED, b'{"a":"' + b"x" * 20_000_000 + b'"}')
    with pytest.raises(PayloadTooLarge, match="10,000,000"):
        submit(lab, SPAWNED, payload)


@pytest.mark.parametrize("path", ["run", "runsync"])
@pytest.mark.parametrize(
    "problem",
    [httpx.ReadTimeout("no answer"), httpx.Response(500), httpx.Response(502), httpx.Response(503)],
    ids=["lost", "500", "502", "503"],
)
def test_a_submit_of_unknown_outcome_is_not_sent_again(lab, api, path, problem):
    """It may have been accepted."""
    route = api.post(f"{DATA}/ep1/{path}").mock(side_effect=[problem, problem])
    with pytest.raises(ProviderUnavailable) as caught:
        submit(lab, WAITED if path == "runsync" else SPAWNED)
    assert caught.value.accepted is None
    assert route.call_count == 1


@pytest.mark.parametrize(
    "problem",
    [httpx.ConnectError("refused"), httpx.Response(429, headers={"Retry-After": "3"})],
    ids=["unsent", "429"],
)
def test_a_submit_that_had_no_effect_is_sent_again(lab, api, problem):
    """As long as RunPod asks to wait."""
    route = api.post(f"{DATA}/ep1/run")
    route.side_effect = [problem, httpx.Response(200, json={"id": "1", "status": "IN_QUEUE"})]
    began = lab.clock.now()
    assert submit(lab, SPAWNED).ref.id == "1"
    assert route.call_count == 2
    if isinstance(problem, httpx.Response):
        assert lab.clock.now() - began >= 3


def test_the_engine_calls_it_unknown(lab, api):
    """A lost answer is OutcomeUnknown, not a failure."""
    api.post(f"{DATA}/ep1/runsync").mock(side_effect=httpx.ReadTimeout("lost"))
    calls = lab.session.calls
    with pytest.raises(OutcomeUnknown):
        lab.session.run(lambda io: calls.invoke(io, REF, b"{}", CallSettings(record=False)))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthFailed), (403, AuthFailed), (404, NotFound), (413, PayloadTooLarge)],
)
def test_refusals_are_told(lab, api, status, kind):
    """The job has not run, and the error says what to do."""
    api.post(f"{DATA}/ep1/run").respond(status, json={"error": "RunPod's words"})
    with pytest.raises(kind, match="RunPod's words") as caught:
        submit(lab, SPAWNED)
    assert caught.value.accepted is False
    assert caught.value.next_step


def test_a_lasting_rate_limit(lab, api):
    """In the end RateLimited, with the wait that was asked for."""
    api.post(f"{DATA}/ep1/run").respond(429, headers={"Retry-After": "5"})
    with pytest.raises(RateLimited) as caught:
        submit(lab, SPAWNED)
    assert caught.value.retry_after == 5


@pytest.mark.parametrize("answer", ["<html>", "[]", '{"id": "1"}', '{"status": "IN_QUEUE"}'])
def test_an_answer_that_is_none(lab, api, answer):
    """A proxy's page is malformed, and nobody knows whether the job runs."""
    api.post(f"{DATA}/ep1/run").respond(200, text=answer)
    with pytest.raises(MalformedResponse) as caught:
        submit(lab, SPAWNED)
    assert caught.value.provider == "runpod"
    assert caught.value.accepted is None


PHASES = [
    ("IN_QUEUE", Phase.QUEUED),
    ("IN_PROGRESS", Phase.RUNNING),
    ("RUNNING", Phase.RUNNING),
    ("COMPLETED", Phase.SUCCEEDED),
    ("FAILED", Phase.FAILED),
    ("CANCELLED", Phase.CANCELLED),
    ("TIMED_OUT", Phase.TIMED_OUT),
]


def poll(lab: Any, call: CallRef = JOB) -> Any:
    """Ask about a job."""
    return lab.run(lab.adapter.poll(lab.io, call, 30.0))


@pytest.mark.parametrize(("status", "phase"), PHASES)
def test_states_of_a_job(lab, api, status, phase):
    """Each of RunPod's states has a phase."""
    api.get(f"{DATA}/ep1/status/sync-7-u1").respond(json=state(status))
    assert poll(lab).phase is phase


def test_a_state_that_nobody_knows(lab, api):
    """It is not taken for an end."""
    api.get(f"{DATA}/ep1/status/sync-7-u1").respond(json=state("PONDERING"))
    with pytest.raises(MalformedResponse, match="PONDERING"):
        poll(lab)


def test_an_output_that_runpod_left_out(lab, api):
    """An empty result of a foreign worker has no output key: it is null."""
    api.get(f"{DATA}/ep1/status/sync-7-u1").respond(json=state("COMPLETED"))
    assert poll(lab).output == b"null"


def test_an_exception_of_a_foreign_worker(lab, api):
    """RunPod's SDK writes it as JSON in a string."""
    error = json.dumps(
        {
            "error_type": "<class 'KeyError'>",
            "error_message": "'prompt'",
            "error_traceback": "Traceback (most recent call last): …",
        }
    )
    api.get(f"{DATA}/ep1/status/sync-7-u1").respond(json=state("FAILED", error=error))
    problem = poll(lab).error
    assert isinstance(problem, RemoteError)
    assert problem.error_type == "KeyError"
    assert problem.error_message == "'prompt'"
    assert "Traceback" in problem.remote_traceback
    assert problem.call_id == str(JOB)


def test_a_job_that_failed_without_an_exception(lab, api):
    """RunPod's words, as a failure of the platform."""
    api.get(f"{DATA}/ep1/status/sync-7-u1").respond(json=state("FAILED", error="worker died"))
    problem = poll(lab).error
    assert isinstance(problem, CallFailed)
    assert not isinstance(problem, RemoteError)
    assert "worker died" in str(problem)


def test_a_young_job_may_not_be_known_yet(lab, api):
    """404 right after the submit is not believed."""
    api.post(f"{DATA}/ep1/run").respond(json=state("IN_QUEUE"))
    route = api.get(f"{DATA}/ep1/status/sync-7-u1")
    missing = httpx.Response(404, json={"error": "job not found"})
    route.side_effect = [missing, missing, missing, httpx.Response(200, json=state("IN_QUEUE"))]
    submit(lab, SPAWNED)
    began = lab.clock.now()
    assert poll(lab).phase is Phase.QUEUED
    assert lab.clock.now() - began == pytest.approx(3.5)


def test_a_job_that_is_gone(lab, api):
    """One of another process gets a second chance; then it has expired."""
    route = api.get(f"{DATA}/ep1/status/sync-7-u1").respond(404)
    with pytest.raises(NotFound):
        poll(lab)
    assert route.call_count == 3
    gone = lab.session.run(lambda io: lab.session.calls.state(io, JOB))
    assert gone.phase is Phase.EXPIRED


def test_an_old_job_that_is_gone(lab, api):
    """Long after the submit 404 is the truth."""
    api.post(f"{DATA}/ep1/run").respond(json=state("IN_QUEUE"))
    route = api.get(f"{DATA}/ep1/status/sync-7-u1").respond(404)
    submit(lab, SPAWNED)
    lab.clock.sleep(60)
    with pytest.raises(NotFound):
        poll(lab)
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("answer", "receipt"),
    [
        (state("CANCELLED"), CancelReceipt.CONFIRMED_TERMINAL),
        (state("COMPLETED"), CancelReceipt.CONFIRMED_TERMINAL),
        (state("IN_PROGRESS"), CancelReceipt.PROVIDER_ACK),
        ({"status": "ok"}, CancelReceipt.PROVIDER_ACK),
        ({}, CancelReceipt.PROVIDER_ACK),
    ],
)
def test_cancel(lab, api, answer, receipt):
    """The receipt is as strong as RunPod's answer."""
    api.post(f"{DATA}/ep1/cancel/sync-7-u1").respond(json=answer)
    assert lab.run(lab.adapter.cancel(lab.io, JOB)) is receipt


def test_a_cancel_is_repeated(lab, api):
    """It does no harm."""
    route = api.post(f"{DATA}/ep1/cancel/sync-7-u1")
    route.side_effect = [httpx.Response(502), httpx.Response(200, json=state("CANCELLED"))]
    assert lab.run(lab.adapter.cancel(lab.io, JOB)) is CancelReceipt.CONFIRMED_TERMINAL


def test_retry_and_purge(lab, api):
    """RunPod's own, beside the seam."""
    api.post(f"{DATA}/ep1/retry/sync-7-u1").respond(json=state("IN_QUEUE"))
    assert lab.run(lab.adapter.retry(lab.io, JOB)).phase is Phase.QUEUED
    api.post(f"{DATA}/ep1/purge-queue").respond(json={"removed": 3, "status": "completed"})
    assert lab.run(lab.adapter.purge_queue(lab.io, REF)) == 3


def test_no_error_shows_the_key(lab, api):
    """Even when RunPod sends it back."""
    api.post(f"{DATA}/ep1/run").respond(401, json={"error": "bad key rpa_SECRET"})
    with pytest.raises(AuthFailed) as caught:
        submit(lab, SPAWNED)
    assert "rpa_SECRET" not in f"{caught.value} {caught.value!r} {caught.value.__dict__}"
