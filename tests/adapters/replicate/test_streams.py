"""Streams: events as they come, lines put together or apart, and streams that break off."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.adapter import CallOptions
from gpuhub.errors import CallCancelled, CallTimedOut, OutcomeUnknown, RemoteError
from gpuhub_replicate.envelopes import Documents, documents_in
from tests.adapters.replicate.answers import API, STREAM, prediction, reference

REF = reference()
HOSTED = reference(
    name="meta/llama", address="meta/llama", made_by_gpuhub=False, data={"route": "model"}
)
POST = f"{API}/deployments/acme/lab-echo/predictions"
GET = f"{API}/predictions/p1"
LINES = ['{"result":1}\n', '{"result":"a\\nb"}\n', '{"gpuhub_end":{"items":2,"wire":1}}\n']
ENVELOPES = [json.loads(line) for line in LINES]
URLS = {"urls": {"stream": STREAM}}


def event(name: str, data: str) -> str:
    """Write one event; a line end in its data begins another line."""
    return f"event: {name}\n" + "".join(f"data: {line}\n" for line in data.split("\n")) + "\n"


def streamed(lab: Any, ref: Any = REF, options: CallOptions = CallOptions(None, 60.0)) -> Any:  # noqa: B008 - frozen
    """Stream a call; give the chunks as JSON."""
    chunks = lab.items(lab.adapter.stream(lab.io, ref, b'{"prompt":"x"}', options))
    return [json.loads(chunk) for chunk in chunks]


def test_events_become_envelopes(lab, api):
    """One event for a line, with the token, and no question afterwards."""
    post = api.post(POST).respond(201, json=prediction("starting", **URLS))
    body = "".join(event("output", line) for line in LINES) + event("done", "{}")
    route = api.get(STREAM).respond(text=body)
    assert streamed(lab) == ENVELOPES
    assert "prefer" not in post.calls.last.request.headers
    headers = route.calls.last.request.headers
    assert headers["accept"] == "text/event-stream"
    assert headers["authorization"] == "Bearer r8_SECRET"
    assert len(api.calls) == 2


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lines_may_come_together_or_apart(lab, api, size):
    """Nothing says that an event is a line."""
    api.post(POST).respond(201, json=prediction("starting", **URLS))
    text = "".join(LINES)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    body = "".join(event("output", piece) for piece in pieces) + event("done", "{}")
    api.get(STREAM).respond(text=body)
    assert streamed(lab) == ENVELOPES


def test_a_stream_that_is_silent_is_asked_on(lab, api):
    """Replicate closes it after 30 seconds, with a comment; the prediction goes on."""
    api.post(POST).respond(201, json=prediction("starting", **URLS))
    api.get(STREAM).respond(text=event("output", LINES[0]) + ":408\n\n")
    answers = [
        prediction("processing", LINES[:1]),
        prediction("processing", LINES[:2]),
        prediction("succeeded", LINES),
    ]
    api.get(GET).side_effect = [httpx.Response(200, json=each) for each in answers]
    assert streamed(lab) == ENVELOPES


def test_a_stream_that_cannot_be_opened_is_asked_on(lab, api):
    """The prediction runs; nothing is posted twice."""
    post = api.post(POST).respond(201, json=prediction("starting", **URLS))
    api.get(STREAM).respond(500)
    api.get(GET).respond(json=prediction("succeeded", LINES))
    assert streamed(lab) == ENVELOPES
    assert post.call_count == 1


def test_a_stream_elsewhere_gets_no_token(lab, api):
    """The credential goes to the address of the settings only."""
    elsewhere = "https://elsewhere.example.com/p1"
    api.post(POST).respond(201, json=prediction("starting", urls={"stream": elsewhere}))
    body = "".join(event("output", line) for line in LINES)
    route = api.get(elsewhere).respond(text=body)
    assert streamed(lab) == ENVELOPES
    assert "authorization" not in route.calls.last.request.headers


def test_a_function_streams_as_one_item(lab, api):
    """Without a stream of its own."""
    api.post(POST).respond(201, json=prediction("succeeded", '{"result":5}', urls={}))
    api.get(GET).respond(json=prediction("succeeded", '{"result":5}'))
    assert streamed(lab) == [{"result": 5}, {"gpuhub_end": {"items": 1, "wire": 1}}]


def test_a_worker_that_dies_in_the_middle_is_unknown(lab, api):
    """What came before is given; the call may have had an effect."""
    api.post(POST).respond(201, json=prediction("starting", **URLS))
    body = event("output", LINES[0]) + event("error", '{"detail":"x"}')
    api.get(STREAM).respond(text=body + event("done", '{"reason":"error"}'))
    api.get(GET).respond(json=prediction("failed", LINES[:1], error="interrupted (code: PA)"))
    seen: list[bytes] = []
    with pytest.raises(OutcomeUnknown, match="cut after 1 items"):
        lab.items(collected(lab, seen))
    assert [json.loads(chunk) for chunk in seen] == ENVELOPES[:1]


async def collected(lab: Any, seen: list[bytes]) -> Any:
    """Stream, and keep what came before an error."""
    async for chunk in lab.adapter.stream(lab.io, REF, b"{}", CallOptions()):
        seen.append(chunk)
        yield chunk


def test_a_cancelled_stream_says_so(lab, api):
    """Somebody else cancelled it."""
    api.post(POST).respond(201, json=prediction("starting", **URLS))
    api.get(STREAM).respond(text=event("done", '{"reason":"canceled"}'))
    api.get(GET).respond(json=prediction("canceled", []))
    with pytest.raises(CallCancelled):
        streamed(lab)


def test_leaving_a_stream_cancels_it(lab, api):
    """A prediction that nobody reads would be billed on."""
    api.post(POST).respond(201, json=prediction("starting", **URLS))
    api.get(STREAM).respond(text="".join(event("output", line) for line in LINES))
    cancel = api.post(f"{GET}/cancel").respond(json=prediction("canceled"))

    async def first() -> Any:
        chunks = lab.adapter.stream(lab.io, REF, b"{}", CallOptions())
        chunk = await anext(chunks)
        await chunks.aclose()
        return chunk

    assert json.loads(lab.run(first())) == ENVELOPES[0]
    assert cancel.call_count == 1


def test_a_stream_ends_with_its_budget(lab, api):
    """And is cancelled."""
    api.post(POST).respond(201, json=prediction("starting", urls={}))
    api.get(GET).respond(json=prediction("processing", []))
    cancel = api.post(f"{GET}/cancel").respond(json=prediction("canceled"))
    with pytest.raises(CallTimedOut, match="20 s"):
        streamed(lab, options=CallOptions(20.0, 20.0))
    assert cancel.call_count == 1


def test_models_stream_text(lab, api):
    """Numbers in it stay text, line ends stay in it."""
    answer = prediction("starting", input={"prompt": "x"}, **URLS)
    api.post(f"{API}/models/meta/llama/predictions").respond(201, json=answer)
    pieces = ["42", " is\n", "it"]
    body = "".join(event("output", piece) for piece in pieces)
    api.get(STREAM).respond(text=body + event("done", "{}"))
    done = prediction("succeeded", pieces, input={"prompt": "x"})
    api.get(GET).respond(json=done)
    assert streamed(lab, HOSTED) == pieces


def test_models_without_a_stream_give_their_items(lab, api):
    """Files of a list, each once; a single output as one item."""
    post = api.post(f"{API}/models/meta/llama/predictions")
    post.respond(201, json=prediction("starting", input={}, urls={}))
    answers = [
        prediction("processing", ["a"], input={}),
        prediction("succeeded", ["a", "b"], input={}),
    ]
    api.get(GET).side_effect = [httpx.Response(200, json=each) for each in answers]
    assert streamed(lab, HOSTED) == ["a", "b"]
    api.get(GET).side_effect = None
    api.get(GET).respond(json=prediction("succeeded", {"text": "x"}, input={}))
    assert streamed(lab, HOSTED) == [{"text": "x"}]


def test_a_model_that_fails_in_a_stream(lab, api):
    """Is the model's own failure."""
    answer = prediction("starting", input={"prompt": "x"}, **URLS)
    api.post(f"{API}/models/meta/llama/predictions").respond(201, json=answer)
    api.get(STREAM).respond(text=event("done", '{"reason":"error"}'))
    api.get(GET).respond(json=prediction("failed", None, error="out of memory", input={"a": 1}))
    with pytest.raises(RemoteError, match="out of memory"):
        streamed(lab, HOSTED)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.lists(VALUES, max_size=4), st.integers(1, 30))
def test_documents_are_found_however_they_are_cut(values, size):
    """Braces and quotes inside of texts, in pieces of any size, with line ends or without."""
    texts = [json.dumps({"result": value}) for value in values]
    for separator in ("\n", "", " \n"):
        whole = "".join(text + separator for text in texts)
        reader = Documents()
        found: list[str] = []
        for at in range(0, len(whole), size):
            found += reader.feed(whole[at : at + size])
        assert [json.loads(text) for text in found] == [{"result": value} for value in values]
        assert documents_in(whole) == (texts if values else [])
