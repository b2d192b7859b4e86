"""Streamed jobs, and those that only start a worker."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from gpuhub import _drive
from gpuhub.adapter import CallOptions
from gpuhub.errors import (
    CallCancelled,
    CallFailed,
    CallTimedOut,
    OutcomeUnknown,
    ProviderUnavailable,
    UnsupportedSetting,
)
from tests.adapters.routes import sent
from tests.adapters.runpod.answers import DATA, JOB, reference, state

REF = reference()
WAITED = CallOptions(None, 90.0)
SPAWNED = CallOptions()


def stream(lab: Any, options: CallOptions = WAITED, ref: Any = REF) -> Any:
    """Send a streamed job."""
    return lab.items(lab.adapter.stream(lab.io, ref, b'{"a":1}', options))


def chunks(status: str, *outputs: Any) -> httpx.Response:
    """Give an answer of /stream."""
    items = [{"output": output} for output in outputs]
    return httpx.Response(200, json={"status": status, "stream": items})


def test_a_stream_is_drained(lab, api):
    """Chunks in order; the end is only believed when nothing is left."""
    api.post(f"{DATA}/ep1/run").respond(json=state("IN_QUEUE"))
    api.get(f"{DATA}/ep1/stream/sync-7-u1").side_effect = [
        httpx.Response(404),
        chunks("IN_QUEUE"),
        chunks("IN_PROGRESS", {"result": 0}, {"result": None}),
        chunks("COMPLETED", {"gpuhub_end": {"items": 2, "wire": 1}}),
        chunks("COMPLETED"),
    ]
    found = [json.loads(chunk) for chunk in stream(lab)]
    assert found == [{"result": 0}, {"result": None}, {"gpuhub_end": {"items": 2, "wire": 1}}]


@pytest.mark.parametrize(
    ("output", "streamed"),
    [
        ({"result": 5}, [{"result": 5}, {"gpuhub_end": {"items": 1, "wire": 1}}]),
        ({"gpuhub_error": {"type": "E"}}, [{"gpuhub_error": {"type": "E"}}]),
        ({"text": "foreign"}, [{"text": "foreign"}]),
        ([], []),
    ],
)
def test_a_job_that_streams_nothing(lab, api, output, streamed):
    """A function that is no generator: its result is the only item."""
    api.post(f"{DATA}/ep1/run").respond(json=state("IN_QUEUE"))
    api.get(f"{DATA}/ep1/stream/sync-7-u1").mock(return_value=chunks("COMPLETED"))
    api.get(f"{DATA}/ep1/status/sync-7-u1").respond(json=state("COMPLETED", output=output))
    assert [json.loads(chunk) for chunk in stream(lab)] == streamed


def test_leaving_a_stream_cancels_the_job(lab, api):
    """The worker is free for the next one."""
    api.post(f"{DATA}/ep1/run").respond(json=state("IN_QUEUE"))
    api.get(f"{DATA}/ep1/stream/sync-7-u1").mock(return_value=chunks("IN_PROGRESS", 1, 2))
    cancel = api.post(f"{DATA}/ep1/cancel/sync-7-u1").respond(json=state("CANCELLED"))
    items: Any = _drive.sync_iter(lab.adapter.stream(lab.io, REF, b"{}", WAITED))
    assert json.loads(next(items)) == 1
    items.close()
    assert cancel.call_count == 1


def test_a_finished_stream_cancels_nothing(lab, api):
    """There is nothing to cancel."""
    api.post(f"{DATA}/ep1/run").respond(json=state("IN_QUEUE"))
    api.get(f"{DATA}/ep1/stream/sync-7-u1").mock(return_value=chunks("COMPLETED"))
    api.get(f"{DATA}/ep1/status/sync-7-u1").respond(json=state("COMPLETED", output=[]))
    cancel = api.post(f"{DATA}/ep1/cancel/sync-7-u1").respond(json=state("CANCELLED"))
    assert stream(lab) == []
    assert cancel.call_count == 0


@pytest.mark.parametrize(
    ("status", "made_by_gpuhub", "kind"),
    [
        ("FAILED", True, OutcomeUnknown),
        ("FAILED", False, CallFailed),
        ("CANCELLED", True, CallCancelled),
        ("TIMED_OUT", True, CallTimedOut),
    ],
)
def test_a_stream_that_ends_badly(lab, api, status, made_by_gpuhub, kind):
    """What was received is given first; then why it ended."""
    api.post(f"{DATA}/ep1/run").respond(json=state("IN_QUEUE"))
    ended = httpx.Response(200, json={"status": status, "stream": [], "error": "worker died"})
    api.get(f"{DATA}/ep1/stream/sync-7-u1").side_effect = [chunks("IN_PROGRESS", 1), ended]
    with pytest.raises(kind) as caught:
        stream(lab, ref=reference(made_by_gpuhub=made_by_gpuhub))
    assert type(caught.value) is kind
    assert caught.value.provider == "runpod"
    assert caught.value.call_id == str(JOB)


def test_a_lost_chunk_is_not_fetched_again(lab, api):
    """/stream empties the buffer: a lost answer would be a hole, so its outcome is unknown."""
    api.post(f"{DATA}/ep1/run").respond(json=state("IN_QUEUE"))
    route = api.get(f"{DATA}/ep1/stream/sync-7-u1").mock(side_effect=httpx.ReadTimeout("lost"))
    cancel = api.post(f"{DATA}/ep1/cancel/sync-7-u1").respond(json=state("CANCELLED"))
    with pytest.raises(ProviderUnavailable) as caught:
        stream(lab)
    assert caught.value.accepted is None
    assert route.call_count == 1
    assert cancel.call_count == 1


def test_a_stream_beyond_its_budget(lab, api):
    """It is cancelled, while there is time to."""
    api.post(f"{DATA}/ep1/run").respond(json=state("IN_QUEUE"))
    api.get(f"{DATA}/ep1/stream/sync-7-u1").mock(return_value=chunks("IN_PROGRESS"))
    cancel = api.post(f"{DATA}/ep1/cancel/sync-7-u1").respond(json=state("CANCELLED"))
    with pytest.raises(CallTimedOut, match="10 s"):
        stream(lab, CallOptions(10.0, 10.0))
    assert cancel.call_count == 1


def test_warm_runs_no_function(lab, api):
    """A job that the worker knows, followed to its end."""
    route = api.post(f"{DATA}/ep1/run").respond(json=state("IN_QUEUE"))
    api.get(f"{DATA}/ep1/status/sync-7-u1").side_effect = [
        httpx.Response(200, json=state("IN_QUEUE")),
        httpx.Response(200, json=state("COMPLETED", output={"result": None})),
    ]
    lab.run(lab.adapter.warm(lab.io, REF))
    assert sent(route)["input"] == {"__gpuhub_warm": True}


def test_warm_that_fails(lab, api):
    """The worker did not start."""
    api.post(f"{DATA}/ep1/run").respond(json=state("IN_QUEUE"))
    api.get(f"{DATA}/ep1/status/sync-7-u1").respond(json=state("FAILED", error="no"))
    with pytest.raises(CallFailed, match="no"):
        lab.run(lab.adapter.warm(lab.io, REF))


@pytest.mark.parametrize(
    "ref", [reference(made_by_gpuhub=False), reference(data={"type": "LOAD_BALANCER"})]
)
def test_what_cannot_be_warmed(lab, ref):
    """A foreign worker would take the job for one of its own."""
    with pytest.raises(UnsupportedSetting, match="cannot be warmed"):
        lab.run(lab.adapter.warm(lab.io, ref))
