"""Predictions: how they are posted, at most once, and what Replicate's answers come to."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from gpuhub._engine.calls import CallSettings
from gpuhub.adapter import CallOptions, CallRef, CancelReceipt, Phase
from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    CallFailed,
    CallTimedOut,
    MalformedResponse,
    NoCapacity,
    NotFound,
    OutcomeUnknown,
    PayloadTooLarge,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
    RemoteError,
    SpecError,
    UnsupportedSetting,
)
from tests.adapters.replicate.answers import API, prediction, reference
from tests.adapters.routes import sent

REF = reference()
HOSTED = reference(
    name="meta/llama", address="meta/llama", made_by_gpuhub=False, data={"route": "model"}
)
CALL = CallRef("replicate", REF.address, "p1")
WAITED = CallOptions(None, 60.0)
POST = f"{API}/deployments/acme/lab-echo/predictions"
HOSTED_POST = f"{API}/models/meta/llama/predictions"
GET = f"{API}/predictions/p1"


def submit(lab: Any, options: CallOptions = WAITED, payload: bytes = b'{"a":1}', ref=REF) -> Any:
    """Post a prediction."""
    return lab.run(lab.adapter.submit(lab.io, ref, payload, options))


def invoke(lab: Any, **settings: Any) -> Any:
    """Call through the engine."""
    settings = {"record": False, **settings}
    calls = lab.session.calls
    return lab.session.run(lambda io: calls.invoke(io, REF, b"{}", CallSettings(**settings)))


def test_a_waited_call_is_one_request(lab, api):
    """The arguments are one text; the end comes in the answer."""
    metrics = {"predict_time": 0.5, "total_time": 2.0}
    answer = prediction("succeeded", '{"result":5}', metrics=metrics)
    route = api.post(POST).respond(201, json=answer)
    found = submit(lab)
    headers = route.calls.last.request.headers
    assert headers["authorization"] == "Bearer r8_SECRET"
    assert headers["prefer"] == "wait=60"
    assert "cancel-after" not in headers
    assert sent(route) == {"input": {"payload": '{"a":1}'}}
    assert found.phase is Phase.SUCCEEDED
    assert found.output == b'{"result":5}'
    assert (found.queued_s, found.run_s) == (1.5, 0.5)
    assert found.ref == CALL


def test_a_spawned_call_does_not_wait(lab, api):
    """It returns at once, with the id; the webhook is told the end only."""
    route = api.post(POST).respond(201, json=prediction("starting"))
    found = submit(lab, CallOptions(webhook="https://example.com/hook"))
    assert "prefer" not in route.calls.last.request.headers
    assert sent(route)["webhook"] == "https://example.com/hook"
    assert sent(route)["webhook_events_filter"] == ["completed"]
    assert found.phase is Phase.QUEUED


def test_a_webhook_must_be_reachable_by_replicate(lab, api):
    """Replicate calls https only; on this machine an emulator may call plain http."""
    with pytest.raises(SpecError, match="https"):
        submit(lab, CallOptions(webhook="http://example.com/hook"))
    api.post(POST).respond(201, json=prediction("starting"))
    submit(lab, CallOptions(webhook="http://127.0.0.1:9/hook"))


@pytest.mark.parametrize(
    ("options", "wait", "cancel_after"),
    [
        (CallOptions(None, 60.0), "wait=60", None),
        (CallOptions(30.0, 30.0), "wait=27", "40s"),
        (CallOptions(7200.0, 60.0), "wait=60", "7210s"),
        (CallOptions(1.5, 1.5), None, "12s"),
        (CallOptions(120.0, 0.0), None, "120s"),
        (CallOptions(2.0, 0.0), None, None),
    ],
)
def test_a_budget_becomes_cancel_after(lab, api, options, wait, cancel_after):
    """A waiting caller cancels first; Replicate does, should the caller be gone."""
    route = api.post(POST).respond(201, json=prediction("starting"))
    submit(lab, options)
    headers = route.calls.last.request.headers
    assert headers.get("prefer") == wait
    assert headers.get("cancel-after") == cancel_after


def test_a_call_that_outlasts_the_wait_is_polled(lab, api):
    """A job longer than the wait gives its result, not nothing."""
    api.post(POST).respond(202, json=prediction("processing"))
    states = [prediction("processing"), prediction("succeeded", '{"result":7}')]
    poll = api.get(GET)
    poll.side_effect = [httpx.Response(200, json=each) for each in states]
    assert json.loads(invoke(lab).output) == {"result": 7}
    assert poll.call_count == 2


def test_a_lost_answer_is_not_posted_again(lab, api):
    """It may run: a second prediction would be billed as well."""
    route = api.post(POST).mock(side_effect=httpx.ReadTimeout("late"))
    with pytest.raises(OutcomeUnknown) as caught:
        invoke(lab)
    assert route.call_count == 1
    assert caught.value.idempotency_key


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"status":"starting"}', b'{"id":"p1"}'])
def test_an_answer_that_is_none_is_not_posted_again(lab, api, body):
    """Whatever a proxy says, the prediction may exist."""
    route = api.post(POST).respond(201, content=body)
    with pytest.raises(OutcomeUnknown):
        invoke(lab)
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({"ratelimit-reset": "9", "ratelimit-remaining": "0"}, "Request was throttled."),
        ({}, "Request was throttled. Your rate limit resets in ~9s."),
        ({"retry-after": "9"}, "Request was throttled. Your rate limit resets in ~1s."),
    ],
)
def test_a_throttled_call_waits_as_long_as_it_is_told(lab, api, headers, detail):
    """By a header of Replicate's own, by its words, or by the usual header."""
    route = api.post(POST)
    throttled = httpx.Response(429, json={"detail": detail}, headers=headers)
    route.side_effect = [throttled, httpx.Response(201, json=prediction("starting"))]
    before = lab.clock.now()
    assert submit(lab).phase is Phase.QUEUED
    assert 9 <= lab.clock.now() - before < 12


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, {"title": "Unauthenticated", "detail": "no valid token"}, AuthFailed, "no valid"),
        (402, {"title": "Insufficient credit"}, QuotaExceeded, "Insufficient"),
        (404, {"detail": "not here"}, NotFound, "not here"),
        (413, {"title": "Too large"}, PayloadTooLarge, "Too large"),
        (
            422,
            {"title": "Invalid version or not permitted", "detail": "no such version"},
            NotFound,
            "payment",
        ),
        (
            422,
            {
                "title": "Input validation failed",
                "invalid_fields": [{"field": "input.a", "description": "is required"}],
            },
            BadRequest,
            "input.a: is required",
        ),
        (429, {"detail": "Request was throttled. Resets soon."}, RateLimited, "throttled"),
        (503, {"title": "No capacity", "detail": "none"}, NoCapacity, "none"),
        (503, {"title": "Elsewhere"}, ProviderUnavailable, "Elsewhere"),
        (500, {}, ProviderUnavailable, "500"),
    ],
)
def test_errors_have_their_class(lab, api, status, body, kind, words):
    """By status and title; the provider's own words are in them."""
    api.post(POST).respond(status, json=body)
    with pytest.raises(kind, match=words) as caught:
        submit(lab)
    assert caught.value.provider == "replicate"
    assert caught.value.status == status
    assert "r8_SECRET" not in str(caught.value)


def test_a_poll_may_be_repeated(lab, api):
    """A server error on the way is not the prediction's end."""
    route = api.get(GET)
    answer = prediction("succeeded", '{"result":1}')
    route.side_effect = [httpx.Response(500), httpx.Response(200, json=answer)]
    assert lab.run(lab.adapter.poll(lab.io, CALL, 5)).phase is Phase.SUCCEEDED


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('{"result":[1]}', {"result": [1]}),
        ('{"gpuhub_error":{"type":"E"}}', {"gpuhub_error": {"type": "E"}}),
        (['{"result":1}\n', '{"result":2}\n', '{"gpuhub_end":{"items":2}}\n'], {"result": [1, 2]}),
        (['{"result":1}\n{"gpuhub_error":', '{"type":"E"}}'], {"gpuhub_error": {"type": "E"}}),
        ([], {"result": []}),
        ("not an envelope", {"result": "not an envelope"}),
        ({"a": 1}, {"result": {"a": 1}}),
    ],
)
def test_outputs_of_own_deployments_are_envelopes(lab, api, output, expected):
    """A generator's lines are put together; what is no envelope becomes the result."""
    api.get(GET).respond(json=prediction("succeeded", output))
    found = lab.run(lab.adapter.poll(lab.io, CALL, 0))
    assert json.loads(found.output) == expected


def test_outputs_of_models_are_bare(lab, api):
    """Also text that looks like an envelope."""
    call = CallRef("replicate", "meta/llama", "p1")
    answer = prediction("succeeded", '{"result":1}', input={"prompt": "x"})
    api.get(GET).respond(json=answer)
    assert json.loads(lab.run(lab.adapter.poll(lab.io, call, 0)).output) == '{"result":1}'


def test_an_erased_output_has_expired(lab, api):
    """An hour after the end the output is null and says so."""
    api.get(GET).respond(json=prediction("succeeded", None, data_removed=True))
    found = lab.run(lab.adapter.poll(lab.io, CALL, 0))
    assert found.phase is Phase.EXPIRED
    assert "hour" in found.detail


@pytest.mark.parametrize(
    ("status", "facts", "phase"),
    [
        ("canceled", {}, Phase.CANCELLED),
        ("aborted", {}, Phase.CANCELLED),
        ("canceled", {"ended": "10:00:09", "deadline": "10:00:30"}, Phase.CANCELLED),
        ("canceled", {"ended": "10:00:30", "deadline": "10:00:30"}, Phase.TIMED_OUT),
        ("aborted", {"ended": "10:00:31", "deadline": "10:00:30"}, Phase.TIMED_OUT),
    ],
)
def test_the_end_of_a_budget_is_told_from_a_cancel(lab, api, status, facts, phase):
    """Replicate says the same state of both; the deadline tells."""
    times = {
        name: f"2026-11-20T{facts[key]}Z"
        for name, key in (("completed_at", "ended"), ("deadline", "deadline"))
        if key in facts
    }
    api.get(GET).respond(json=prediction(status, **times))
    found = lab.run(lab.adapter.poll(lab.io, CALL, 0))
    assert found.phase is phase
    assert isinstance(found.error, CallTimedOut) == (phase is Phase.TIMED_OUT)


def test_the_workers_own_limit_is_a_timeout(lab, api):
    """The runner says it in words, which Cog's server wraps."""
    words = "Prediction failed: RuntimeError: gpuhub: the call ran longer than its timeout of 2 s"
    api.post(POST).respond(201, json=prediction("failed", error=words))
    with pytest.raises(CallTimedOut, match="timeout of 2 s"):
        invoke(lab)


def test_a_failure_of_an_own_function_is_the_platforms(lab, api):
    """What the user's code raises comes as an envelope, so this was not it."""
    api.post(POST).respond(201, json=prediction("failed", error="Worker crashed"))
    with pytest.raises(CallFailed, match="Worker crashed") as caught:
        invoke(lab)
    assert not isinstance(caught.value, RemoteError)


@pytest.mark.parametrize(
    ("words", "kind", "name"),
    [
        ("Prediction failed: ValueError: no prompt", RemoteError, "ValueError"),
        ("CUDA out of memory", RemoteError, "PredictionFailed"),
        ("Prediction interrupted; please retry (code: PA)", CallFailed, ""),
    ],
)
def test_a_failure_of_a_model_is_its_own(lab, api, words, kind, name):
    """Unless Replicate names one of its codes."""
    call = CallRef("replicate", "meta/llama", "p1")
    api.get(GET).respond(json=prediction("failed", error=words, input={"prompt": "x"}))
    error = lab.run(lab.adapter.poll(lab.io, call, 0)).error
    assert type(error) is kind
    assert getattr(error, "error_type", "") == name


def test_an_unknown_state_is_malformed(lab, api):
    """Not taken for running for ever, as other clients do."""
    api.get(GET).respond(json=prediction("pausing"))
    with pytest.raises(MalformedResponse, match="pausing"):
        lab.run(lab.adapter.poll(lab.io, CALL, 0))


@pytest.mark.parametrize(
    ("status", "receipt"),
    [
        ("canceled", CancelReceipt.CONFIRMED_TERMINAL),
        ("succeeded", CancelReceipt.CONFIRMED_TERMINAL),
        ("processing", CancelReceipt.PROVIDER_ACK),
    ],
)
def test_a_cancel_says_how_certain_it_is(lab, api, status, receipt):
    """By the state in the answer."""
    api.post(f"{GET}/cancel").respond(json=prediction(status))
    assert lab.run(lab.adapter.cancel(lab.io, CALL)) is receipt


def test_a_refused_cancel_is_looked_up(lab, api):
    """Replicate may refuse to cancel what has ended."""
    api.post(f"{GET}/cancel").respond(400, json={"detail": "it has ended"})
    api.get(GET).respond(json=prediction("succeeded", "{}"))
    found = lab.run(lab.adapter.cancel(lab.io, CALL))
    assert found is CancelReceipt.CONFIRMED_TERMINAL


def test_warming_runs_a_call_that_is_none(lab, api):
    """The runner answers it without the function; it is followed to its end."""
    route = api.post(POST).respond(201, json=prediction("starting"))
    states = [prediction("processing"), prediction("succeeded", '{"result":null}')]
    api.get(GET).side_effect = [httpx.Response(200, json=each) for each in states]
    lab.run(lab.adapter.warm(lab.io, REF))
    assert sent(route) == {"input": {"payload": '{"__gpuhub_warm":true}'}}


def test_a_failed_start_is_told(lab, api):
    """As the failure of the call."""
    api.post(POST).respond(201, json=prediction("failed", error="setup failed"))
    with pytest.raises(CallFailed, match="setup failed"):
        lab.run(lab.adapter.warm(lab.io, REF))
    with pytest.raises(UnsupportedSetting, match="warmed"):
        lab.run(lab.adapter.warm(lab.io, HOSTED))


def test_a_body_that_is_too_large_is_not_sent(lab, api):
    """Cog's server would refuse it."""
    with pytest.raises(PayloadTooLarge, match="100,000,000"):
        submit(lab, payload=b'{"a":"' + b"x" * 100_000_000 + b'"}')
    assert not api.calls


def test_models_take_their_own_inputs(lab, api):
    """Official ones by their name, others by a version."""
    route = api.post(HOSTED_POST).respond(201, json=prediction("starting"))
    submit(lab, payload=b'{"prompt":"hi"}', ref=HOSTED)
    assert sent(route) == {"input": {"prompt": "hi"}}
    other = reference(
        name="me/m",
        address="me/m",
        made_by_gpuhub=False,
        data={"route": "version", "version": "cd" * 32},
    )
    route = api.post(f"{API}/predictions").respond(201, json=prediction("starting"))
    submit(lab, payload=b'{"prompt":"hi"}', ref=other)
    assert sent(route) == {"input": {"prompt": "hi"}, "version": "cd" * 32}


def test_a_lone_surrogate_travels(lab, api):
    """UTF-8 cannot hold it, JSON can."""
    route = api.post(POST).respond(201, json=prediction("starting"))
    submit(lab, payload=b'{"a":"\\ud800"}')
    assert sent(route) == {"input": {"payload": '{"a":"\\ud800"}'}}
