"""Calls: how they are sent, what their ends mean, what is repeated."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.adapter import CallOptions, CallRef, CancelReceipt, Phase
from gpuhub.errors import (
    BadRequest,
    CallFailed,
    CallTimedOut,
    MalformedResponse,
    NotFound,
    ProviderUnavailable,
    RateLimited,
    RemoteError,
    UnsupportedSetting,
)
from gpuhub_modal.facts import FunctionFacts, Output
from gpuhub_modal.plain import NotPlain, as_json, pickled, plain_value
from gpuhub_modal.states import call_state

CALL = CallRef("modal", "lab-echo", "fc-1")
FOREIGN = CallRef("modal", "app/function", "fc-1")
WAITED = CallOptions(wait_s=30, idempotency_key="key-1")
SPAWNED = CallOptions(idempotency_key="key-1")


def succeeded(value: Any) -> Output:
    """A result as Modal's runtime pickles it."""
    return Output("SUCCESS", pickle.dumps(value, protocol=4), "PICKLE")


def unavailable() -> ProviderUnavailable:
    """A server error."""
    return ProviderUnavailable("Modal: internal", provider="modal", accepted=None)


@pytest.mark.parametrize(
    ("options", "facts", "kind"),
    [
        (WAITED, {}, "sync"),
        (SPAWNED, {}, "async"),
        (WAITED, {"data": {"retries": "2"}}, "async"),
        (WAITED, {"made_by_gpuhub": False}, "async"),
    ],
)
def test_how_a_call_is_sent(lab, options, facts, kind):
    """Modal's client runs again what it waits for, so what may be run again is kept there."""
    state = lab.run(lab.adapter.submit(lab.io, lab.ref(**facts), b'{"value":1}', options))
    (sent,) = lab.client.sent
    assert (sent.kind, sent.key, sent.function_id) == (kind, "key-1", "fu-1")
    assert state.phase is Phase.QUEUED
    assert str(state.ref) == "modal://lab-echo/fc-1"


def test_arguments_travel_as_bytes_or_by_name(lab):
    """To gpuhub's entry as they are; to functions of others as keyword arguments."""
    lab.run(lab.adapter.submit(lab.io, lab.ref(), b'{"value":1}', SPAWNED))
    lab.run(lab.adapter.submit(lab.io, lab.ref(made_by_gpuhub=False), b'{"value":1}', SPAWNED))
    assert [plain_value(each.arguments) for each in lab.client.sent] == [
        ((b'{"value":1}',), {}),
        ((), {"value": 1}),
    ]
    with pytest.raises(BadRequest, match="by name"):
        lab.run(lab.adapter.submit(lab.io, lab.ref(made_by_gpuhub=False), b"[1]", SPAWNED))


def test_what_is_not_called_so(lab):
    """A generator gives a stream, a web function has an address."""
    for kind, words in (("generator", "stream"), ("web", "address")):
        with pytest.raises(UnsupportedSetting) as caught:
            lab.run(lab.adapter.submit(lab.io, lab.ref(kind), b"{}", WAITED))
        assert words in caught.value.next_step
    assert lab.client.sent == []


def test_a_function_with_another_id_is_looked_up_once(lab):
    """An app that was stopped and deployed again elsewhere has new ids."""
    gone = NotFound("Modal: no function fu-1", provider="modal")
    lab.client.starts = [gone, "fc-9"]
    lab.client.functions["lab-echo", "echo"] = FunctionFacts("fu-2", False, None)
    state = lab.run(lab.adapter.submit(lab.io, lab.ref(), b"{}", WAITED))
    assert [each.function_id for each in lab.client.sent] == ["fu-1", "fu-2"]
    assert state.ref.id == "fc-9"
    lab.client.starts = [gone]
    lab.client.functions["lab-echo", "echo"] = FunctionFacts("fu-1", False, None)
    with pytest.raises(NotFound):
        lab.run(lab.adapter.submit(lab.io, lab.ref(), b"{}", WAITED))


def test_a_throttle_is_waited_for_within_the_budget(lab):
    """It means that nothing ran; the server says how long."""
    slow = RateLimited("Modal: slower", provider="modal", retry_after=7)
    lab.client.starts = [slow, slow, "fc-3"]
    begun = lab.clock.now()
    lab.run(lab.adapter.submit(lab.io, lab.ref(), b"{}", WAITED))
    assert 14 <= lab.clock.now() - begun <= 14 + 2
    lab.client.starts = [slow]
    with pytest.raises(RateLimited):
        lab.run(lab.adapter.submit(lab.io.bounded(5), lab.ref(), b"{}", WAITED))


def test_a_lost_submit_is_not_repeated_here(lab):
    """The engine does, with the same key."""
    lab.client.starts = [unavailable()]
    with pytest.raises(ProviderUnavailable) as caught:
        lab.run(lab.adapter.submit(lab.io, lab.ref(), b"{}", WAITED))
    assert caught.value.accepted is None
    assert len(lab.client.sent) == 1


@pytest.mark.parametrize(
    ("output", "phase"),
    [
        (Output(), Phase.QUEUED),
        (Output(is_known=False), Phase.EXPIRED),
        (succeeded(b'{"result":1}'), Phase.SUCCEEDED),
        (Output("TIMEOUT", exception="too long"), Phase.TIMED_OUT),
        (Output("TERMINATED"), Phase.CANCELLED),
        (Output("INTERNAL_FAILURE", exception="lost"), Phase.FAILED),
        (Output("INIT_FAILURE", exception="boot"), Phase.FAILED),
        (Output("FAILURE", exception="MemoryError()"), Phase.FAILED),
    ],
)
def test_what_an_end_means(output, phase):
    """By the status of Modal's protobuf."""
    state = call_state(CALL, output)
    assert state.phase is phase
    assert (state.output is not None) == (phase is Phase.SUCCEEDED)
    assert isinstance(state.error, CallFailed) == (phase is Phase.FAILED)


def test_an_envelope_that_was_raised_is_the_answer():
    """A function with retries raises it; the SDK's pickle of the exception is not read."""
    text = json.dumps({"gpuhub_error": {"type": "ValueError", "message": "it's"}})
    raised = repr(RuntimeError(f"gpuhub_error {text}"))
    state = call_state(CALL, Output("FAILURE", b"not read", "PICKLE", raised, "Traceback …"))
    assert state.phase is Phase.SUCCEEDED
    assert json.loads(state.output or b"")["gpuhub_error"]["message"] == "it's"


def test_an_exception_of_somebody_elses_function():
    """By its text: Modal's pickle of it may hold any class."""
    output = Output("FAILURE", b"\x80", "PICKLE", "ValueError('no, it\\'s not')", "Traceback: …")
    error = call_state(FOREIGN, output).error
    assert isinstance(error, RemoteError)
    assert (error.error_type, error.error_message) == ("ValueError", "no, it's not")
    assert error.remote_traceback == "Traceback: …"


def test_results_of_somebody_elses_function_become_json():
    """As far as JSON has them; else the class is named."""
    value: Any
    for value in (None, [1, "a", {"b": 2.5}], (1, 2), "é"):
        assert json.loads(call_state(FOREIGN, succeeded(value)).output or b"") == json.loads(
            json.dumps(value)
        )
    for value, name in ((b"raw", "bytes"), ({1, 2}, "set"), (Phase.QUEUED, "Phase")):
        state = call_state(FOREIGN, succeeded(value))
        assert state.phase is Phase.FAILED
        assert name in str(state.error)


class Weapon:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return print, ("unpickled",)


def test_no_code_of_the_networks_runs(capsys):
    """An unpickler without classes reads what gpuhub's functions return."""
    with pytest.raises(NotPlain, match=r"builtins\.print"):
        plain_value(pickle.dumps(Weapon()))
    assert "print" in str(call_state(CALL, succeeded(Weapon())).error)
    assert capsys.readouterr().out == ""
    with pytest.raises(NotPlain, match="no pickle"):
        plain_value(b"<html>")


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_values_survive_modals_pickles(value):
    """Protocol 4, as the SDK and its runtime write."""
    assert plain_value(pickle.dumps(value, protocol=4)) == value
    assert plain_value(pickled((value,), {})) == ((value,), {})


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=9))
def test_json_values_are_written_as_json(value):
    """Unchanged."""
    assert json.loads(as_json(value)) == value


def test_polls_are_repeated(lab):
    """Asking again does no harm."""
    lab.client.outputs = [unavailable(), unavailable(), succeeded(b'{"result":1}')]
    state = lab.run(lab.adapter.poll(lab.io, CALL, 30))
    assert state.output == b'{"result":1}'
    assert [each[2] for each in lab.client.asked if each[0] == "output"] == [30, 30, 30]


def test_a_call_that_runs_is_told_from_one_that_waits(lab):
    """Modal's outputs do not say; its call graph knows the container."""
    assert lab.run(lab.adapter.poll(lab.io, CALL, 0)).phase is Phase.QUEUED
    lab.client.begun.add("fc-1")
    assert lab.run(lab.adapter.poll(lab.io, CALL, 0)).phase is Phase.RUNNING


def test_cancelling(lab):
    """Confirmed when Modal reports the end."""
    assert lab.run(lab.adapter.cancel(lab.io, CALL)) is CancelReceipt.PROVIDER_ACK
    lab.client.outputs = [Output("TERMINATED")]
    assert lab.run(lab.adapter.cancel(lab.io, CALL)) is CancelReceipt.CONFIRMED_TERMINAL


def test_a_stream(lab):
    """Items as they are, up to the one that says it is the last."""
    items = [b'{"result":0}', b'{"gpuhub_end":{"items":1,"wire":1}}']
    lab.client.streamed = [pickle.dumps(each, protocol=4) for each in (*items, b"never")]
    found = lab.items(lab.adapter.stream(lab.io, lab.ref("generator"), b"{}", WAITED))
    assert found == items
    assert lab.client.sent[0].kind == "stream"


def test_a_stream_of_somebody_elses_function(lab):
    """Bare JSON."""
    lab.client.streamed = [pickle.dumps(each) for each in ("a", {"b": 1})]
    ref = lab.ref("generator", made_by_gpuhub=False, address="app/function")
    assert lab.items(lab.adapter.stream(lab.io, ref, b"{}", WAITED)) == [b'"a"', b'{"b": 1}']


@pytest.mark.parametrize(
    ("output", "error"),
    [
        (Output("TIMEOUT"), CallTimedOut),
        (Output("INTERNAL_FAILURE", exception="died"), ProviderUnavailable),
        (Output(is_known=False), ProviderUnavailable),
    ],
)
def test_a_stream_that_broke_off(lab, output, error):
    """It is unknown whether it ended; a timeout is known."""
    lab.client.streamed = [pickle.dumps(b'{"result":0}'), output]
    with pytest.raises(error) as caught:
        lab.items(lab.adapter.stream(lab.io, lab.ref("generator"), b"{}", WAITED))
    assert getattr(caught.value, "accepted", None) is None


def test_an_item_that_is_no_json(lab):
    """Its class is named, and not loaded."""
    lab.client.streamed = [pickle.dumps(Weapon())]
    with pytest.raises(MalformedResponse, match="print"):
        lab.items(lab.adapter.stream(lab.io, lab.ref("generator"), b"{}", WAITED))


def test_a_function_can_be_streamed(lab):
    """It gives one item, and its end."""
    lab.client.outputs = [Output(), succeeded(b'{"result":7}')]
    found = lab.items(lab.adapter.stream(lab.io, lab.ref(), b"{}", WAITED))
    assert [json.loads(each) for each in found] == [
        {"result": 7},
        {"gpuhub_end": {"items": 1, "wire": 1}},
    ]


@pytest.mark.parametrize(("kind", "sent"), [("function", "async"), ("generator", "stream")])
def test_warming_is_a_call_that_goes_nowhere(lab, kind, sent):
    """It starts a container."""
    lab.run(lab.adapter.warm(lab.io, lab.ref(kind)))
    assert lab.client.sent[0].kind == sent
    assert plain_value(lab.client.sent[0].arguments) == ((b'{"__gpuhub_warm":true}',), {})
    for ref in (lab.ref("web"), lab.ref(made_by_gpuhub=False)):
        with pytest.raises(UnsupportedSetting):
            lab.run(lab.adapter.warm(lab.io, ref))
