"""Asynchronous requests: the queue, webhooks, expiry; results are not kept."""

from __future__ import annotations

import json

import pytest

from gpuhub_baseten.emulator import EmulatorOptions
from gpuhub_baseten.emulator.planes.queue import sign
from tests.adapters.waiting import until

FLAKY = """
class Model:
    calls = 0
    def predict(self, inputs):
        Model.calls += 1
        if Model.calls < inputs["until"]:
            raise ValueError("not yet")
        return Model.calls
"""


def test_a_request_runs_and_is_told(account, receiver):
    """201 with an id; the output goes to the webhook, signed with each active secret."""
    made = account.model()
    answer = made.submit({"a": 1}, webhook_endpoint=receiver.url)
    assert answer.status_code == 201
    request_id = answer.json()["request_id"]
    ended = made.ended(request_id)
    assert (ended["status"], ended["webhook_status"], ended["errors"]) == (
        *("SUCCEEDED", "SUCCEEDED"),
        [],
    )
    ((headers, body),) = receiver.got
    assert headers["X-BASETEN-SIGNATURE"] == sign(body, account.emulator.options.webhook_secrets)
    told = json.loads(body)
    assert told["request_id"] == request_id
    assert told["data"] == {"a": 1}
    assert "data" not in ended


@pytest.mark.parametrize("options", [EmulatorOptions(webhook_secrets=("one", "two"))])
def test_several_secrets_sign(account, receiver):
    """Separated by commas."""
    made = account.model()
    made.ended(made.submit(1, webhook_endpoint=receiver.url).json()["request_id"])
    parts = receiver.got[0][0]["X-BASETEN-SIGNATURE"].split(",")
    assert [part[:3] for part in parts] == ["v1=", "v1="]
    assert parts[0] != parts[1]


def test_a_webhook_that_fails(account, receiver):
    """Is tried again; in the end the request says so."""
    receiver.refusals = 3
    made = account.model()
    ended = made.ended(made.submit(1, webhook_endpoint=receiver.url).json()["request_id"])
    assert (ended["status"], ended["webhook_status"]) == ("WEBHOOK_FAILED", "FAILED")
    assert len(receiver.got) == 3
    receiver.refusals = 1
    ended = made.ended(made.submit(1, webhook_endpoint=receiver.url).json()["request_id"])
    assert ended["status"] == "SUCCEEDED"


def test_a_queued_request_wakes_and_waits(account, clock):
    """From zero; nobody moves the clock for it."""
    made = account.model()
    clock.advance(100)
    request_id = made.submit("x").json()["request_id"]
    assert made.request(request_id)["status"] == "QUEUED"
    counts = account.http.get(f"{made.base}/production/async_queue_status").json()
    assert (counts["num_queued_requests"], counts["deployment_id"]) == (1, made.id)
    assert made.status() == "WAKING_UP"
    clock.advance(3)
    assert made.ended(request_id)["status"] == "SUCCEEDED"


def test_only_queued_requests_can_be_cancelled(account, clock):
    """A running one runs on; an ended one has ended."""
    made = account.model()
    clock.advance(100)
    queued = made.submit("x").json()["request_id"]
    place = f"{made.base}/async_request"
    assert account.http.delete(f"{place}/{queued}").json()["canceled"] is True
    assert made.request(queued)["status"] == "CANCELED"
    clock.advance(3)
    account.emulator.fail("timeout")
    running = made.submit("x").json()["request_id"]
    until(lambda: made.request(running)["status"] == "IN_PROGRESS")
    answer = account.http.delete(f"{place}/{running}").json()
    assert (answer["canceled"], answer["message"]) == (False, "the request is IN_PROGRESS")


def test_a_request_expires_in_the_queue(account, clock, receiver):
    """The webhook is told of that, too."""
    made = account.model()
    clock.advance(100)
    account.emulator.fail("capacity", on="start")
    members = {"max_time_in_queue_seconds": 30, "webhook_endpoint": receiver.url}
    request_id = made.submit("x", **members).json()["request_id"]
    clock.advance(29)
    assert made.request(request_id)["status"] == "QUEUED"
    clock.advance(2)
    ended = made.request(request_id)
    assert ended["status"] == "EXPIRED"
    assert ended["errors"][0]["code"] == "MODEL_NOT_READY"
    until(lambda: receiver.got)
    assert json.loads(receiver.got[0][1])["data"] is None


def test_a_failing_request_is_run_again(account, clock):
    """As its retries say, with pauses; then it has failed."""
    made = account.model(FLAKY)
    retry = {"max_attempts": 3, "initial_delay_ms": 1000}
    request_id = made.submit({"until": 3}, inference_retry_config=retry).json()["request_id"]
    until(lambda: _advanced(clock, made.request(request_id)["status"] == "SUCCEEDED"))
    request_id = made.submit({"until": 99}, inference_retry_config={"max_attempts": 1}).json()[
        "request_id"
    ]
    ended = made.ended(request_id)
    assert ended["status"] == "FAILED"
    assert ended["errors"][0]["code"] == "MODEL_PREDICT_ERROR"


def _advanced(clock, is_over):
    if not is_over:
        clock.advance(0.5)
    return is_over


def test_priorities(account, clock):
    """Lower numbers first."""
    made = account.model(limits={"concurrency_target": 1})
    clock.advance(100)
    ids = {number: made.submit(number, priority=number).json()["request_id"] for number in (2, 0)}
    order = [visit.id for visit in made.state.queue]
    assert order == [ids[0], ids[2]]


def test_an_ended_request_is_forgotten(account, clock):
    """After about an hour."""
    made = account.model()
    request_id = made.submit("x").json()["request_id"]
    assert made.ended(request_id)["webhook_status"] == "NO_WEBHOOK_PROVIDED"
    clock.advance(3599)
    assert made.request(request_id)["status"] == "SUCCEEDED"
    clock.advance(2)
    assert account.http.get(f"{made.base}/async_request/{request_id}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model_input": 1, "priority": 3},
        {"model_input": 1, "max_time_in_queue_seconds": 9},
        {"model_input": 1, "webhook_endpoint": "http://example.com/receiver"},
        {"model_input": 1, "inference_retry_config": {"max_attempts": 11}},
        {"model_input": 1, "wrong": 1},
    ],
)
def test_what_may_not_be_asked_for(account, body):
    """400, and nothing is queued."""
    made = account.model()
    answer = account.http.post(f"{made.base}/production/async_predict", json=body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "client_error")


def test_limits(account):
    """The body, and how many in a second."""
    made = account.model()
    assert made.submit("x" * 256 * 1024).status_code == 413
    statuses = {made.submit(number).status_code for number in range(210)}
    assert statuses == {201, 429}
