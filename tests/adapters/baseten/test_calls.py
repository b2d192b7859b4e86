"""Calls: waited for, held, for a webhook, streamed; and what can go wrong with each."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import httpx
import pytest

from gpuhub.adapter import CallOptions, CallRef, CancelReceipt, Phase
from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    CallExpired,
    CallTimedOut,
    MalformedResponse,
    NoCapacity,
    NotFound,
    OutcomeUnknown,
    PayloadTooLarge,
    ProviderUnavailable,
    RateLimited,
)
from gpuhub_baseten.held import HeldCalls
from tests.adapters.baseten.answers import API, MODEL, deployment, environment, reference
from tests.adapters.waiting import until

PREDICT = f"{MODEL}/production/predict"
WAIT = CallOptions(wait_s=60, idempotency_key="key")
SPAWN = CallOptions(idempotency_key="key")
FROM_MODEL = {"X-BASETEN-ERROR-SOURCE": "04", "X-BASETEN-ERROR-CODE": "600"}


def submit(lab: Any, options: CallOptions = WAIT, payload: bytes = b"{}", **facts: Any) -> Any:
    """Send one call."""
    return lab.run(lab.adapter.submit(lab.io, reference(**facts), payload, options))


def poll(lab: Any, call: CallRef, wait_s: float = 5.0) -> Any:
    """Ask about a call."""
    return lab.run(lab.adapter.poll(lab.io, call, wait_s))


def ended(lab: Any, call: CallRef) -> Any:
    """Ask about a call until it has ended: one question waits for half a second at most."""
    until(lambda: poll(lab, call).phase.is_terminal)
    return poll(lab, call)


def test_a_call_that_is_waited_for(lab, api):
    """One request; its id is Baseten's."""
    route = api.post(PREDICT).respond(
        content=b'{"result":7}', headers={"X-Baseten-Request-Id": "req1"}
    )
    state = submit(lab, payload=b'{"a":1}')
    assert (state.phase, state.output) == (Phase.SUCCEEDED, b'{"result":7}')
    assert str(state.ref) == "baseten://abc123/req1"
    request = route.calls.last.request
    assert request.content == b'{"a":1}'
    assert request.headers["authorization"] == "Bearer bt_SECRET"


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("abc123/staging", "/environments/staging"),
        ("abc123/deployment/dep7", "/deployment/dep7"),
    ],
)
def test_the_right_target_is_called(lab, api, address, target):
    """An environment by its name, a deployment by its id."""
    route = api.post(f"{MODEL}{target}/predict").respond(content=b'{"result":1}')
    submit(lab, address=address)
    assert route.called


def test_another_host_for_models(make_lab, api):
    """A setting with the model's id in it; the credential goes there too."""
    lab = make_lab(model_url="https://gateway.example/models/{model_id}/")
    base = "https://gateway.example/models/abc123"
    route = api.post(f"{base}/production/predict").respond(content=b'{"result":1}')
    submit(lab)
    assert "authorization" in route.calls.last.request.headers


@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "accepted"),
    [
        (400, {}, {"error": "bad", "error_code": "client_error"}, BadRequest, False),
        (401, {}, {"error": "no key", "error_code": "unauthorized"}, AuthFailed, False),
        (404, {}, {"error": "none", "error_code": "model_does_not_exist"}, NotFound, False),
        (413, {}, {"error": "big", "error_code": "payload_too_large"}, PayloadTooLarge, False),
        (429, {}, {"error": "slow", "error_code": "rate_limited"}, RateLimited, False),
        (500, FROM_MODEL, {"error": "Internal Server Error"}, ProviderUnavailable, None),
        (502, {}, {"error": "crashed"}, ProviderUnavailable, None),
        (503, {}, {"error": "none", "error_code": "model_unavailable"}, NoCapacity, False),
        (503, {}, {"error": "draining"}, ProviderUnavailable, False),
        (503, FROM_MODEL, {"error": "loading"}, ProviderUnavailable, False),
        (503, {}, None, ProviderUnavailable, None),
    ],
)
def test_errors_are_told_apart(lab, api, status, headers, body, error, accepted):
    """By status, code, and by who speaks: the gateway, the replica, or a proxy."""
    answer = {"text": "<html>"} if body is None else {"json": body}
    api.post(PREDICT).respond(status, headers=headers, **answer)
    with pytest.raises(error) as caught:
        submit(lab)
    assert caught.value.accepted is accepted
    assert caught.value.next_step
    assert "bt_SECRET" not in str(caught.value)


def test_what_was_certainly_not_run_is_repeated(lab, api):
    """A draining replica, a limit; what may have run is not."""
    again = [
        httpx.Response(503, json={"error": "draining"}),
        httpx.Response(429, json={"error": "x"}),
    ]
    route = api.post(PREDICT)
    route.side_effect = [*again, httpx.Response(200, content=b'{"result":1}')]
    assert submit(lab).phase is Phase.SUCCEEDED
    assert route.call_count == 3
    crash = api.post(PREDICT).respond(502, json={"error": "crashed"})
    before = crash.call_count
    with pytest.raises(ProviderUnavailable):
        submit(lab)
    assert crash.call_count == before + 1


def test_the_gateways_limit_is_a_timeout(lab, api):
    """1200 s are over: the call may still run; of a replica the same status is an error."""
    api.post(PREDICT).respond(504, json={"error": "timeout", "error_code": "timeout"})
    state = submit(lab)
    assert state.phase is Phase.TIMED_OUT
    assert "1200 s" in state.detail
    api.post(PREDICT).respond(504, headers=FROM_MODEL, json={"error": "upstream"})
    with pytest.raises(ProviderUnavailable):
        submit(lab)


def test_the_workers_limit_is_a_timeout(lab, api):
    """Kept by gpuhub's worker, told by its envelope."""
    problem = {"type": "gpuhub.CallTimedOut", "message": "m", "traceback": "", "wire": 1}
    api.post(PREDICT).respond(json={"gpuhub_error": problem})
    assert submit(lab).phase is Phase.TIMED_OUT
    api.post(PREDICT).respond(json={"gpuhub_error": {**problem, "type": "ValueError"}})
    assert submit(lab).phase is Phase.SUCCEEDED


@pytest.mark.parametrize("body", [b"<html>", b'{"a":1}', b"[]", b'"x"', b"", b'{"result":1'])
def test_an_answer_of_another_is_refused(lab, api, body):
    """Where gpuhub's worker should speak; it may have run."""
    api.post(PREDICT).respond(content=body)
    with pytest.raises(MalformedResponse) as caught:
        submit(lab)
    assert caught.value.accepted is None


def test_an_envelope_in_other_clothes_is_one(lab, api):
    """Should a proxy write the JSON anew."""
    api.post(PREDICT).respond(content=b'{ "result" : 1 }')
    assert submit(lab).output == b'{ "result" : 1 }'


@pytest.mark.parametrize(
    ("content", "kind", "output"),
    [
        (b'{"label":1}', "application/json", b'{"label":1}'),
        (b"plain words", "text/plain", b'"plain words"'),
    ],
)
def test_models_of_others_answer_as_they_like(lab, api, content, kind, output):
    """JSON as it is, words as a text; a page of a proxy is no answer."""
    api.post(PREDICT).respond(content=content, headers={"content-type": kind})
    assert submit(lab, made_by_gpuhub=False).output == output
    api.post(PREDICT).respond(content=b"<html>", headers={"content-type": "text/html"})
    with pytest.raises(MalformedResponse):
        submit(lab, made_by_gpuhub=False)


def test_a_generator_that_is_called_gives_a_list(lab, api):
    """Or the error it ended with; a stream that broke off is no list."""
    lines = b'\n{"result":0}\n{"result":1}\n'
    api.post(PREDICT).respond(content=lines + b'{"gpuhub_end":{"items":2,"wire":1}}\n')
    assert json.loads(submit(lab).output) == {"result": [0, 1]}
    api.post(PREDICT).respond(content=lines + b'{"gpuhub_error":{"type":"X"}}\n')
    assert b"gpuhub_error" in submit(lab).output
    api.post(PREDICT).respond(content=lines)
    with pytest.raises(MalformedResponse, match="after 2 items"):
        submit(lab)


# ------------------------------------------------------------------------------------ held


def test_a_spawned_call_is_held(lab, api):
    """``spawn`` is back before the answer is there; then it can be had any number of times."""
    arrived, go = threading.Event(), threading.Event()

    def answer(_: httpx.Request) -> httpx.Response:
        arrived.set()
        assert go.wait(30)
        return httpx.Response(200, content=b'{"result":1}')

    api.post(PREDICT).side_effect = answer
    call = submit(lab, SPAWN).ref
    assert arrived.wait(30)
    api.get(f"{API}/models/abc123/environments/production").respond(
        json=environment(deployment("dep1", active_replica_count=0))
    )
    assert poll(lab, call, 0.0).phase is Phase.QUEUED
    assert poll(lab, call, 0.01).phase is Phase.RUNNING
    assert lab.run(lab.adapter.cancel(lab.io, call)) is CancelReceipt.NO_EVIDENCE
    go.set()
    assert ended(lab, call).output == b'{"result":1}'
    assert poll(lab, call).ref == call
    assert lab.run(lab.adapter.cancel(lab.io, call)) is CancelReceipt.CONFIRMED_TERMINAL


def test_a_held_call_runs_when_a_replica_is_there(lab, api):
    """As the deployment says, also one that is addressed by itself."""
    go = threading.Event()

    def answer(_: httpx.Request) -> httpx.Response:
        assert go.wait(30)
        return httpx.Response(200, content=b'{"result":1}')

    api.post(f"{MODEL}/deployment/dep7/predict").side_effect = answer
    api.get(f"{API}/models/abc123/deployments/dep7").respond(json=deployment("dep7"))
    call = submit(lab, SPAWN, address="abc123/deployment/dep7").ref
    assert poll(lab, call, 0.0).phase is Phase.RUNNING
    go.set()
    assert ended(lab, call).phase is Phase.SUCCEEDED


def test_a_held_call_whose_answer_was_lost(lab, api):
    """Is not sent again: unknown, with all that is known."""
    route = api.post(PREDICT).mock(side_effect=httpx.ReadError("cut"))
    call = submit(lab, SPAWN).ref
    error = ended(lab, call).error
    assert isinstance(error, OutcomeUnknown)
    assert (error.idempotency_key, error.call_id) == ("key", str(call))
    assert route.call_count == 1


def test_a_held_call_that_was_refused(lab, api):
    """Its error comes with the result: ``spawn`` could not know."""
    api.post(PREDICT).respond(401, json={"error": "no"})
    assert isinstance(ended(lab, submit(lab, SPAWN).ref).error, AuthFailed)


def test_a_call_of_another_process(lab, api):
    """Nobody has its result: the reason says so."""
    with pytest.raises(NotFound, match="Baseten keeps no result"):
        poll(lab, CallRef("baseten", "abc123", "held-0"))
    gone = CallRef("baseten", "abc123", "held-0")
    assert lab.run(lab.adapter.cancel(lab.io, gone)) is CancelReceipt.NO_EVIDENCE
    assert not api.calls


def test_closing_gives_held_calls_up(lab, api):
    """Those that are asked about afterwards are unknown, not endless."""
    lab.session.connections.close()
    call = submit(lab, SPAWN).ref
    assert isinstance(ended(lab, call).error, OutcomeUnknown)


def test_ended_calls_are_forgotten_only_once_told(monkeypatch, lab):
    """Results that nobody has asked for are kept, whatever they weigh."""
    monkeypatch.setattr("gpuhub_baseten.held._KEPT", 2)
    held = HeldCalls()
    calls = [CallRef("baseten", "abc123", f"held-{number}") for number in range(6)]

    def ended(call: CallRef) -> Any:
        from gpuhub.adapter import CallState

        async def end() -> CallState:
            return CallState(call, Phase.SUCCEEDED, output=b"1")

        return end

    for call in calls[:4]:
        held.start(call, ended(call))
        assert lab.run(held.state(lab.io, call, 30.0)).phase is Phase.SUCCEEDED
    assert lab.run(held.state(lab.io, calls[0], 0)) is None
    for call in calls[4:]:
        held.start(call, ended(call))
    for call in calls[4:]:
        assert lab.run(held.state(lab.io, call, 30.0)).phase is Phase.SUCCEEDED


def test_a_held_call_on_a_loop_can_be_cut(lab, api, monkeypatch):
    """Its connection is closed, which Baseten may or may not pass on."""
    monkeypatch.setattr("gpuhub_baseten.held._STOP_S", 30.0)
    arrived, loop = asyncio.Event(), list[asyncio.AbstractEventLoop]()

    async def never(_: httpx.Request) -> httpx.Response:
        loop[0].call_soon_threadsafe(arrived.set)
        await asyncio.sleep(60)
        raise AssertionError("it was not cancelled")

    api.post(PREDICT).side_effect = never

    async def use() -> Any:
        loop.append(asyncio.get_running_loop())
        io = lab.session.connections.asynchronous()
        state = await lab.adapter.submit(io, reference(), b"{}", SPAWN)
        await arrived.wait()
        receipt = await lab.adapter.cancel(io, state.ref)
        return receipt, await lab.adapter.poll(io, state.ref, 5.0)

    receipt, state = asyncio.run(use())
    assert receipt is CancelReceipt.CHANNEL_CLOSED
    assert state.phase is Phase.CANCELLED
    assert "may have run" in state.detail


# ---------------------------------------------------------------------------------- webhook


def with_webhook(**data: str) -> dict[str, Any]:
    """Give the facts of a deployment with a webhook."""
    return {"data": {"webhook": "https://me.example/done", **data}}


def test_with_a_webhook_a_spawn_is_asynchronous(lab, api, validate_inference):
    """One attempt, so that Baseten runs nothing twice; the arguments as they are."""
    route = api.post(f"{MODEL}/production/async_predict").respond(201, json={"request_id": "r1"})
    state = submit(lab, SPAWN, b'{"a":1}', **with_webhook(max_time_in_queue="60"))
    body = json.loads(route.calls.last.request.content)
    assert validate_inference("AsyncPredictRequest", body) == []
    assert body == {
        "model_input": {"a": 1},
        "webhook_endpoint": "https://me.example/done",
        "inference_retry_config": {"max_attempts": 1},
        "max_time_in_queue_seconds": 60,
    }
    assert str(state.ref) == "baseten://abc123/r1"


def test_a_large_asynchronous_call_is_refused_here(lab, api):
    """256 KiB, counted with the wrapper."""
    with pytest.raises(PayloadTooLarge, match="262,144"):
        submit(lab, SPAWN, b'{"a":"' + b"x" * 262_100 + b'"}', **with_webhook())
    assert not api.calls


@pytest.mark.parametrize(
    ("status", "phase", "error"),
    [
        ("QUEUED", Phase.QUEUED, None),
        ("IN_PROGRESS", Phase.RUNNING, None),
        ("SUCCEEDED", Phase.SUCCEEDED, CallExpired),
        ("WEBHOOK_FAILED", Phase.SUCCEEDED, CallExpired),
        ("FAILED", Phase.FAILED, CallTimedOut),
        ("CANCELED", Phase.CANCELLED, None),
        ("EXPIRED", Phase.EXPIRED, None),
    ],
)
def test_states_of_asynchronous_calls(lab, api, status, phase, error):
    """A result that went to the webhook is not to be had here, and the error says so."""
    problems = (
        [{"code": "MODEL_PREDICT_TIMEOUT", "message": "an hour"}] if error is CallTimedOut else []
    )
    answer = {"request_id": "r1", "status": status, "errors": problems}
    api.get(f"{MODEL}/async_request/r1").respond(json=answer)
    state = poll(lab, CallRef("baseten", "abc123", "r1"), 0.0)
    assert state.phase is phase
    assert error is None or isinstance(state.error, error)
    if error is CallExpired:
        assert "webhook" in state.error.message


def test_an_unknown_state_of_an_asynchronous_call(lab, api):
    """Is no crash."""
    api.get(f"{MODEL}/async_request/r1").respond(json={"status": "DREAMING", "errors": []})
    with pytest.raises(MalformedResponse, match="DREAMING"):
        poll(lab, CallRef("baseten", "abc123", "r1"))


@pytest.mark.parametrize(
    ("status", "receipt"),
    [("CANCELED", CancelReceipt.CONFIRMED_TERMINAL), ("IN_PROGRESS", CancelReceipt.NO_EVIDENCE)],
)
def test_only_waiting_asynchronous_calls_are_cancelled(lab, api, status, receipt):
    """What Baseten then says about it is the evidence."""
    url = f"{MODEL}/async_request/r1"
    api.delete(url).respond(json={"request_id": "r1", "canceled": status == "CANCELED"})
    api.get(url).respond(json={"request_id": "r1", "status": status, "errors": []})
    call = CallRef("baseten", "abc123", "r1")
    assert lab.run(lab.adapter.cancel(lab.io, call)) is receipt


# ---------------------------------------------------------------------------------- streams


def stream(lab: Any, **facts: Any) -> list[bytes]:
    """Stream one call."""
    return lab.items(lab.adapter.stream(lab.io, reference(**facts), b"{}", WAIT))


class Pieces(httpx.SyncByteStream):
    """A body in pieces, which may be cut."""

    def __init__(self, *pieces: bytes, cut: bool = False) -> None:
        self.pieces, self.cut = pieces, cut

    def __iter__(self) -> Any:
        yield from self.pieces
        if self.cut:
            raise httpx.ReadError("cut")


def test_lines_may_come_in_any_pieces(lab, api):
    """An item is given when its line is whole."""
    pieces = Pieces(b"\n", b'{"res', b'ult":0}\n{"result":1}', b"\n", b'{"gpuhub_end":{}}\n')
    route = api.post(PREDICT).mock(return_value=httpx.Response(200, stream=pieces))
    assert stream(lab) == [b'{"result":0}', b'{"result":1}', b'{"gpuhub_end":{}}']
    assert route.calls.last.request.headers["accept"] == "*/*", "else Truss joins the stream"


def test_the_single_answer_of_a_function_is_one_item(lab, api):
    """With the end that it lacks; of an error there is none."""
    api.post(PREDICT).respond(content=b'{"result":{"a":1}}')
    assert stream(lab) == [b'{"result":{"a":1}}', b'{"gpuhub_end": {"items": 1, "wire": 1}}']
    api.post(PREDICT).respond(content=b'{"gpuhub_error":{}}')
    assert stream(lab) == [b'{"gpuhub_error":{}}']


def test_a_cut_stream_is_not_taken_for_a_whole_one(lab, api):
    """Neither in the middle of a line nor of the only answer."""
    pieces = Pieces(b'\n{"result":0}\n', cut=True)
    api.post(PREDICT).mock(return_value=httpx.Response(200, stream=pieces))
    with pytest.raises(ProviderUnavailable) as caught:
        stream(lab)
    assert caught.value.accepted is None
    api.post(PREDICT).respond(content=b'\n{"result":0}\n{"res')
    assert stream(lab) == [b'{"result":0}']
    api.post(PREDICT).respond(content=b'{"res')
    with pytest.raises(MalformedResponse):
        stream(lab)


def test_words_of_models_of_others_are_streamed(lab, api):
    """As texts, also where a piece ends inside of a character."""
    text = "grün".encode()
    pieces = Pieces(text[:3], text[3:])
    api.post(PREDICT).mock(return_value=httpx.Response(200, stream=pieces))
    assert [json.loads(each) for each in stream(lab, made_by_gpuhub=False)] == ["gr", "ün"]


def test_warm_wakes(lab, api):
    """No call of the function."""
    route = api.post(f"{MODEL}/production/wake").respond(202)
    lab.run(lab.adapter.warm(lab.io, reference()))
    assert route.called
