"""Calls: requests and tasks, at most once, and what the gateway's answers come to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gpuhub._engine.calls import CallSettings
from gpuhub.adapter import CallOptions, CallRef, CancelReceipt, Phase
from gpuhub.errors import (
    AuthFailed,
    CallExpired,
    CallFailed,
    CallTimedOut,
    MalformedResponse,
    NoCapacity,
    NotFound,
    OutcomeUnknown,
    PayloadTooLarge,
    ProviderUnavailable,
    RateLimited,
    RemoteError,
    UnsupportedSetting,
)
from tests.adapters.beam.answers import LIST, WORKSPACE, pair, reference, task
from tests.adapters.routes import sent

REF = reference()
QUEUE_ONLY = reference(data={"kind": "taskqueue", "path": "/taskqueue/lab-echo/v1"})
FOREIGN = reference(made_by_gpuhub=False, name="theirs", address="theirs")
WAITED, SPAWNED = CallOptions(None, 30.0), CallOptions()
TASK = f"/api/v1/task/{WORKSPACE}/t-1"
CALL = CallRef("beam", "lab-echo", "t-1")
LOST = {"error": "Backend route unavailable"}


def submit(lab: Any, ref: Any = REF, options: CallOptions = WAITED, payload=b'{"a":1.0}') -> Any:
    """Send a call."""
    return lab.run(lab.adapter.submit(lab.io, ref, payload, options))


def endpoint(api: Any, status: int = 200, **answer: Any) -> Any:
    """Script the endpoint."""
    return api.post("/endpoint/lab-echo/v1").respond(
        status, json=answer, headers={"x-task-id": "t-1"}
    )


def test_a_waited_call_is_one_request(lab, api):
    """The answer is its end; the arguments travel as text, so that 1.0 stays 1.0."""
    route = endpoint(api, result=5)
    state = submit(lab)
    assert sent(route) == {"kwargs": {"gpuhub_call": '{"a":1.0}'}}
    assert (state.phase, json.loads(state.output)) == (Phase.SUCCEEDED, {"result": 5})
    assert state.ref == CALL
    assert route.calls.last.request.extensions["timeout"]["read"] == pytest.approx(300 + 960)


def test_a_spawned_call_is_a_task(lab, api):
    """Of the queue of the same name, with the webhook where there is one."""
    route = api.post("/taskqueue/lab-echo/v1").respond(json={"task_id": "t-1"})
    state = submit(lab, options=CallOptions(webhook="https://me.example/hook"))
    assert (state.phase, state.ref) == (Phase.QUEUED, CALL)
    assert sent(route)["kwargs"]["callback_url"] == "https://me.example/hook"


def test_a_function_of_the_queue_only(lab, api):
    """Sends waited calls there too, and the engine follows them."""
    api.post("/taskqueue/lab-echo/v1").respond(json={"task_id": "t-1"})
    done = task("COMPLETE", result={"gpuhub": '{"result":0.0}'})
    api.get(TASK).mock(
        side_effect=[httpx.Response(200, json=each) for each in (task("RUNNING"), done)]
    )
    state = submit(lab, QUEUE_ONLY)
    assert state.phase is Phase.QUEUED
    states = [lab.run(lab.adapter.poll(lab.io, state.ref, 1.0)) for _ in range(2)]
    assert [each.phase for each in states] == [Phase.RUNNING, Phase.SUCCEEDED]
    assert states[1].output == b'{"result":0.0}'


def test_what_has_no_queue_cannot_be_spawned(lab, api):
    """Refused before anything is sent, with what to do."""
    data = {name: text for name, text in REF.data.items() if not name.startswith("queue")}
    plain = reference()
    object.__setattr__(plain, "data", data)
    with pytest.raises(UnsupportedSetting, match="no task queue") as caught:
        submit(lab, plain, SPAWNED)
    assert caught.value.fields == ("spawn",)
    assert not api.calls


def test_a_task_has_a_size(lab, api):
    """It must fit into one message on its way to the runner."""
    with pytest.raises(PayloadTooLarge, match="7,000,000"):
        submit(lab, QUEUE_ONLY, WAITED, b'{"a":"' + b"x" * 7_000_000 + b'"}')
    assert not api.calls


def test_a_foreign_endpoint_gets_bare_json(lab, api):
    """Named arguments, as Beam's own clients send them; a traceback becomes its error."""
    route = endpoint(api, answer=1)
    state = submit(lab, FOREIGN)
    assert route.calls.last.request.content == b'{"a":1.0}'
    assert json.loads(state.output) == {"answer": 1}
    trace = 'Traceback (most recent call last):\n  File "x.py"\nValueError: no luck\n'
    endpoint(api, 500, error=trace)
    error = submit(lab, FOREIGN).error
    assert isinstance(error, RemoteError)
    assert (error.error_type, error.error_message) == ("ValueError", "no luck")
    assert error.remote_traceback == trace


@pytest.mark.parametrize(
    ("status", "answer", "error", "accepted"),
    [
        (400, {"message": "invalid request payload"}, ProviderUnavailable, False),
        (401, {"message": "missing token"}, AuthFailed, False),
        (429, {"error": "exceeded max pending tasks: 100"}, RateLimited, False),
        (500, {"message": "Internal"}, ProviderUnavailable, None),
        (502, {"error": "bad gateway of a proxy"}, ProviderUnavailable, None),
        (503, {"error": "no pool supports H100"}, NoCapacity, False),
        (
            503,
            {"detail": "Container task capacity exhausted"},
            ProviderUnavailable,
            False,
        ),
        (503, {"message": "a proxy"}, ProviderUnavailable, None),
        (504, {"error": "Timed out waiting for a backend container"}, NoCapacity, False),
        (504, {"message": "a proxy"}, ProviderUnavailable, None),
    ],
)
def test_refusals(lab, api, status, answer, error, accepted):
    """What certainly did not run can be sent again; what may have is told apart."""
    endpoint(api, status, **answer)
    api.get(LIST).respond(json=pair(1, 1))
    with pytest.raises((error, Exception)) as caught:
        submit(lab)
    assert getattr(caught.value, "accepted", None) is accepted
    assert caught.value.status == status
    if status != 400:
        assert isinstance(caught.value, error)


def test_a_container_that_died(lab, api):
    """The platform's failure, not the function's; it may have had an effect."""
    endpoint(api, 502, **LOST)
    state = submit(lab)
    assert state.phase is Phase.FAILED
    assert isinstance(state.error, CallFailed)
    assert "effect" in state.error.message


def test_a_call_that_ran_too_long(lab, api):
    """Told by the worker; or, by a lost backend after the whole time, by the gateway."""
    endpoint(api, gpuhub_timeout={"seconds": 300})
    assert submit(lab).phase is Phase.TIMED_OUT

    def late(request: httpx.Request) -> httpx.Response:
        lab.clock.advance(301)
        return httpx.Response(502, json=LOST)

    api.post("/endpoint/lab-echo/v1").mock(side_effect=late)
    assert submit(lab).phase is Phase.TIMED_OUT


def test_a_request_that_was_stopped_in_the_dashboard(lab, api):
    """The runner may not begin it any more."""
    endpoint(api, 409, detail="Gateway rejected task start")
    assert submit(lab).phase is Phase.CANCELLED


def test_a_page_instead_of_an_answer(lab, api):
    """May come from a proxy after the call has run."""
    api.post("/endpoint/lab-echo/v1").respond(200, text="<html>")
    with pytest.raises(MalformedResponse) as caught:
        submit(lab)
    assert caught.value.accepted is None


def test_a_version_that_was_replaced_elsewhere(lab, api):
    """The call goes to the one that serves now: the old one certainly did not run it."""
    endpoint(api, 400, message="Deployment is not active")
    api.get(LIST).respond(json=pair(2, 2) + pair(1, 1, active=False))
    newer = api.post("/endpoint/lab-echo/v2").respond(json={"result": 1})
    assert submit(lab).phase is Phase.SUCCEEDED
    endpoint(api, 504, error="Timed out waiting for a backend container")
    assert submit(lab).phase is Phase.SUCCEEDED
    assert newer.call_count == 2
    endpoint(api, 400, message="Deployment is not active")
    api.get(LIST).respond(json=[])
    with pytest.raises(NotFound, match="not active"):
        submit(lab)


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("PENDING", Phase.QUEUED),
        ("RETRY", Phase.QUEUED),
        ("RUNNING", Phase.RUNNING),
        ("CANCELLED", Phase.CANCELLED),
        ("TIMEOUT", Phase.TIMED_OUT),
        ("ERROR", Phase.FAILED),
        ("FAILED", Phase.FAILED),
        ("EXPIRED", Phase.FAILED),
    ],
)
def test_states_of_a_task(lab, api, status, phase):
    """Each of Beam's words."""
    times = {
        "created_at": "2026-11-01T00:00:00Z",
        "started_at": "2026-11-01T00:00:02.5Z",
        "ended_at": {"Time": "2026-11-01T00:00:03Z", "Valid": True},
    }
    api.get(TASK).respond(json=task(status, container_id="c-1", **times))
    state = lab.run(lab.adapter.poll(lab.io, CALL, 0.0))
    assert state.phase is phase
    assert (state.queued_s, state.run_s, state.worker) == (2.5, 0.5, "c-1")
    if status == "EXPIRED":
        assert isinstance(state.error, CallExpired)
        assert "has not run" in state.error.message


def test_results_of_tasks(lab, api):
    """Gpuhub's are text; others are JSON; none at all is said to be lost."""
    for result, output in [
        ({"gpuhub": '{"result":1e20}'}, b'{"result":1e20}'),
        ({"gpuhub": 1}, b'{"gpuhub": 1}'),
        ([0], b"[0]"),
    ]:
        api.get(TASK).respond(json=task("COMPLETE", result=result))
        assert lab.run(lab.adapter.poll(lab.io, CALL, 0.0)).output == output
    api.get(TASK).respond(json=task("COMPLETE"))
    state = lab.run(lab.adapter.poll(lab.io, CALL, 0.0))
    assert state.phase is Phase.FAILED
    assert "keeps no result" in state.error.message
    api.get(TASK).respond(json=task("SLEEPING"))
    with pytest.raises(MalformedResponse, match="SLEEPING"):
        lab.run(lab.adapter.poll(lab.io, CALL, 0.0))


def test_a_long_task_is_followed_by_events(lab, api):
    """After some seconds of quick looks: one stream instead of many requests."""
    look = api.get(TASK).respond(json=task("RUNNING"))
    running = json.dumps(task("RUNNING"))
    done = json.dumps(task("COMPLETE", result=[1]))
    events = "".join(f"event: status\ndata: {each}\n\n" for each in (running, done))
    follow = api.get(f"{TASK}/subscribe").respond(200, text=events)
    assert lab.run(lab.adapter.poll(lab.io, CALL, 30.0)).phase is Phase.RUNNING
    assert not follow.called
    lab.clock.advance(5)
    state = lab.run(lab.adapter.poll(lab.io, CALL, 30.0))
    assert (state.phase, state.output) == (Phase.SUCCEEDED, b"[1]")
    assert (look.call_count, follow.call_count) == (2, 1)
    follow.mock(side_effect=httpx.ReadTimeout("nothing new"))
    assert lab.run(lab.adapter.poll(lab.io, CALL, 30.0)).phase is Phase.RUNNING


def test_a_cancel_is_checked(lab, api):
    """The gateway says the same whether or not there is such a task."""
    stop = api.delete(f"/api/v1/task/{WORKSPACE}").respond(json={})
    api.get(TASK).respond(json=task("CANCELLED"))
    assert lab.run(lab.adapter.cancel(lab.io, CALL)) is CancelReceipt.CONFIRMED_TERMINAL
    assert stop.calls.last.request.url.params["task_ids"] == "t-1"
    api.get(TASK).respond(json=task("RUNNING"))
    assert lab.run(lab.adapter.cancel(lab.io, CALL)) is CancelReceipt.PROVIDER_ACK


# ----------------------------------------------------------------------------------- streams


def stream(lab: Any, ref: Any = REF) -> list[Any]:
    """Stream a call."""
    chunks = lab.items(lab.adapter.stream(lab.io, ref, b"{}", WAITED))
    return [json.loads(chunk) for chunk in chunks]


def test_items_of_a_stream(lab, api):
    """Whole ones, however the chunks are cut."""
    text = 'data: {"result": 0}\n\ndata: {"result": "ü"}\n\ndata: {"gpuhub_end": {"items": 2}}\n\n'
    raw = text.encode()

    class Pieces(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from (raw[:3], raw[3:40], raw[40:41], raw[41:])

    route = api.post("/endpoint/lab-echo/v1")
    route.mock(return_value=httpx.Response(200, stream=Pieces()))
    found = stream(lab)
    assert found == [{"result": 0}, {"result": "ü"}, {"gpuhub_end": {"items": 2}}]
    assert route.calls.last.request.headers["accept"] == "text/event-stream"


def test_any_function_can_be_streamed(lab, api):
    """It gives one item and the end; an error stands for itself."""
    endpoint(api, result=[1])
    assert stream(lab) == [{"result": [1]}, {"gpuhub_end": {"items": 1, "wire": 1}}]
    endpoint(api, gpuhub_error={"type": "E"})
    assert stream(lab) == [{"gpuhub_error": {"type": "E"}}]
    endpoint(api, answer=1)
    assert stream(lab, FOREIGN) == [{"answer": 1}]


def test_items_of_a_foreign_stream(lab, api):
    """Beam's runner wraps what is no object."""
    text = 'data: {"data": 5}\n\ndata: {"token": "a"}\n\n'
    api.post("/endpoint/lab-echo/v1").respond(200, text=text)
    assert stream(lab, FOREIGN) == [5, {"token": "a"}]


def test_a_stream_that_took_too_long(lab, api):
    """The worker says so."""
    api.post("/endpoint/lab-echo/v1").respond(
        200, text='data: {"gpuhub_timeout":{"seconds":9}}\n\n'
    )
    with pytest.raises(CallTimedOut, match="9 s"):
        stream(lab)


def test_a_task_can_be_streamed(lab, api):
    """As one item, when it has ended."""
    api.post("/taskqueue/lab-echo/v1").respond(json={"task_id": "t-1"})
    results = [task("PENDING"), task("COMPLETE", result={"gpuhub": '{"result":1}'})]
    api.get(TASK).mock(side_effect=[httpx.Response(200, json=each) for each in results])
    assert stream(lab, QUEUE_ONLY)[0] == {"result": 1}
    api.get(TASK).respond(json=task("ERROR"))
    with pytest.raises(CallFailed, match="failed at Beam"):
        stream(lab, QUEUE_ONLY)


def test_the_engine_calls_it_unknown(lab, api):
    """A request whose answer was lost is never sent again."""
    from gpuhub._engine import Calls

    route = api.post("/endpoint/lab-echo/v1").mock(side_effect=httpx.ReadTimeout("lost"))
    calls = Calls(lab.adapter, lab.workspace.journal)
    with pytest.raises(OutcomeUnknown):
        lab.run(calls.invoke(lab.io, REF, b"{}", CallSettings()))
    assert route.call_count == 1
