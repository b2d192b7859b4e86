"""Calls: results, errors, retries, time-outs, cancels, keys, expiry."""

from __future__ import annotations

import json
import threading

import pytest

from gpuhub.adapter import CallRef, CancelReceipt, Phase
from gpuhub.errors import (
    AuthFailed,
    CallFailed,
    CallTimedOut,
    MalformedResponse,
    NoCapacity,
    NotFound,
    PayloadTooLarge,
    ProviderUnavailable,
    RateLimited,
)
from gpuhub.scaling import Scaling
from gpuhub.testing.emulator import Fault
from tests.adapters.waiting import until


def executions(lab) -> list[int]:
    """How often each call was run."""
    return list(lab.cloud.executions.values())


def test_an_exception_is_an_answer(lab) -> None:
    """The call succeeded as far as the provider is concerned."""
    state = lab.submit(lab.deploy("fail"), message="no")
    error = json.loads(state.output or b"")["gpuhub_error"]
    assert (state.phase, error["type"], error["message"]) == (Phase.SUCCEEDED, "ValueError", "no")


def test_the_provider_runs_a_failed_call_again(lab, tmp_path) -> None:
    """As often as ``retries`` says; the last outcome counts."""
    path = str(tmp_path / "runs")
    ref = lab.deploy("fail_until", retries=2)
    assert lab.result(ref, path=path, times=2) == 3
    assert executions(lab) == [3]


def test_without_retries_nothing_runs_again(lab, tmp_path) -> None:
    """The default."""
    state = lab.submit(lab.deploy("fail_until"), path=str(tmp_path / "runs"), times=1)
    assert b"gpuhub_error" in (state.output or b"")
    assert executions(lab) == [1]


def test_a_worker_that_dies_fails_the_call(lab) -> None:
    """With the platform's words; the next call gets another worker."""
    ref = lab.deploy("add")
    lab.cloud.fail("crash")
    state = lab.submit(ref, x=1)
    assert (state.phase, state.output) == (Phase.FAILED, None)
    assert isinstance(state.error, CallFailed)
    assert state.error.code == "worker_died"
    assert state.error.call_id == str(state.ref)
    assert lab.submit(ref, x=1).worker == "worker-2"


def test_a_worker_that_dies_with_retries(lab) -> None:
    """The call is run again, on another worker."""
    ref = lab.deploy("add", retries=1)
    lab.cloud.fail("crash")
    state = lab.submit(ref, x=1)
    assert (state.phase, state.worker) == (Phase.SUCCEEDED, "worker-2")
    assert executions(lab) == [2]


def test_a_call_that_hangs_is_ended_at_its_timeout(lab) -> None:
    """In virtual time, to the second; its worker goes on."""
    ref = lab.deploy("add", timeout=120)
    lab.cloud.fail("timeout")
    state = lab.submit(ref, 1000.0, x=1)
    assert (state.phase, state.run_s, lab.clock.now()) == (Phase.TIMED_OUT, 120.0, 122.0)
    assert lab.submit(ref, x=1).worker == "worker-1"


def test_a_wait_that_ends_first(lab) -> None:
    """The call is still running, and can be cancelled for certain."""
    ref = lab.deploy("add")
    lab.cloud.fail("timeout")
    state = lab.submit(ref, 30.0, x=1)
    assert (state.phase, lab.clock.now()) == (Phase.RUNNING, 30.0)
    receipt = lab.run(lab.adapter.cancel(lab.io, state.ref))
    assert receipt is CancelReceipt.CONFIRMED_TERMINAL
    assert lab.poll(state.ref).phase is Phase.CANCELLED
    assert lab.status(ref).in_flight == 0


@pytest.mark.parametrize("mode", ["inline", "thread"])
def test_code_that_runs_too_long(make_lab, mode) -> None:
    """Real time counts as well: nothing else could end it."""
    lab = make_lab(mode=mode)
    ref = lab.deploy("nap", timeout=0.1)
    assert lab.submit(ref, 60.0, seconds=0.2).phase is Phase.TIMED_OUT
    # The same limit: a machine that is busy elsewhere may take longer for a call, not for all.
    assert any(lab.submit(ref, seconds=0).phase is Phase.SUCCEEDED for _ in range(20))


def test_a_jump_of_the_clock_ends_running_code(make_lab) -> None:
    """The provider counts on its own clock."""
    lab = make_lab(mode="thread")
    lab.functions.GATES["t"] = threading.Event()
    ref = lab.deploy("gate", timeout=100)
    call = lab.spawn(ref, name="t")
    lab.clock.advance(2)
    lab.clock.advance(100)
    assert lab.poll(call).phase is Phase.TIMED_OUT
    assert lab.status(ref).workers.total == 0
    lab.functions.GATES["t"].set()
    assert lab.poll(call).phase is Phase.TIMED_OUT


def test_a_spawned_call_runs_when_time_passes(lab) -> None:
    """It is queued until the cold start is over."""
    call = lab.spawn(lab.deploy("add"), x=2)
    assert lab.poll(call).phase is Phase.QUEUED
    lab.clock.advance(2)
    state = lab.poll(call, 30.0)
    assert json.loads(state.output or b"") == {"result": 3}


def test_asking_again_and_again_lets_time_pass(lab) -> None:
    """A loop over the state comes to an end, though nobody moves the clock."""
    call = lab.spawn(lab.deploy("add"), x=2)
    until(lambda: lab.poll(call).phase.is_terminal)


def test_a_queued_call_is_cancelled_for_certain(lab) -> None:
    """It never runs."""
    call = lab.spawn(lab.deploy("add"), x=2)
    receipt = lab.run(lab.adapter.cancel(lab.io, call))
    lab.clock.advance(100)
    assert (receipt, lab.poll(call).phase) == (CancelReceipt.CONFIRMED_TERMINAL, Phase.CANCELLED)
    assert executions(lab) == []


def test_running_code_of_a_thread_cannot_be_stopped(make_lab) -> None:
    """The call is cancelled, and the receipt says no more than that it was accepted."""
    lab = make_lab(mode="thread")
    lab.functions.GATES["x"] = threading.Event()
    call = lab.spawn(lab.deploy("gate"), name="x")
    lab.clock.advance(2)
    receipt = lab.run(lab.adapter.cancel(lab.io, call))
    assert (receipt, lab.poll(call).phase) == (CancelReceipt.PROVIDER_ACK, Phase.CANCELLED)
    lab.functions.GATES["x"].set()
    assert lab.poll(call, 1.0).phase is Phase.CANCELLED


def test_results_expire(make_lab) -> None:
    """A spawned call's result is kept for ``result_ttl_s`` after its end."""
    lab = make_lab(result_ttl_s=100)
    call = lab.spawn(lab.deploy("add"), x=1)
    assert lab.poll(call, 30).phase is Phase.SUCCEEDED
    lab.clock.advance(100)
    assert lab.poll(call).phase is Phase.SUCCEEDED
    lab.clock.advance(1)
    assert lab.poll(call).phase is Phase.EXPIRED


def test_an_unknown_call(lab) -> None:
    """Is not found."""
    with pytest.raises(NotFound):
        lab.poll(CallRef("mock", "lab-add", "nothing"))


def test_a_key_makes_two_submits_one_call(lab) -> None:
    """Run once, one id, one result."""
    ref = lab.deploy("add")
    first, second = (lab.submit(ref, key="k", x=5) for _ in range(2))
    assert (first.ref, first.output) == (second.ref, second.output)
    assert executions(lab) == [1]


def test_keys_can_be_switched_off(make_lab) -> None:
    """Then each submit is a call of its own."""
    lab = make_lab(idempotency_keys=False)
    ref = lab.deploy("add")
    assert lab.submit(ref, key="k", x=5).ref != lab.submit(ref, key="k", x=5).ref


def test_a_lost_response_has_run_once(make_lab) -> None:
    """The provider accepted and ran it; whether it did cannot be known from the error."""
    lab = make_lab(idempotency_keys=False)
    ref = lab.deploy("add")
    lab.cloud.fail("lost_response")
    with pytest.raises(ProviderUnavailable) as caught:
        lab.submit(ref, x=1)
    assert (caught.value.accepted, executions(lab)) == (None, [1])


def test_a_lost_response_with_a_key(lab) -> None:
    """The second submit finds the call and its result."""
    ref = lab.deploy("add")
    lab.cloud.fail("lost_response")
    with pytest.raises(ProviderUnavailable):
        lab.submit(ref, key="k", x=1)
    assert lab.submit(ref, key="k", x=1).phase is Phase.SUCCEEDED
    assert executions(lab) == [1]


def test_a_lost_response_to_a_spawn(lab) -> None:
    """It was accepted all the same, and runs when its time comes."""
    ref = lab.deploy("add")
    lab.cloud.fail("lost_response")
    with pytest.raises(ProviderUnavailable):
        lab.spawn(ref, x=1)
    assert executions(lab) == []
    lab.cloud.drain()
    assert executions(lab) == [1]


@pytest.mark.parametrize(
    ("kind", "error", "accepted", "tries"),
    [
        ("unauthorized", AuthFailed, False, 1),
        ("capacity", NoCapacity, False, 1),
        ("server_error", ProviderUnavailable, None, 1),
        ("rate_limit", RateLimited, False, 6),
    ],
)
def test_a_refused_submit_does_not_run(lab, kind, error, accepted, tries) -> None:
    """It is of the right class, says what may have happened, and is repeated if that is safe."""
    ref = lab.deploy("add")
    lab.cloud.fail(kind, times=50)
    with pytest.raises(error) as caught:
        lab.submit(ref, x=1)
    assert (caught.value.provider, caught.value.accepted) == ("mock", accepted)
    assert caught.value.next_step
    assert len(lab.cloud.requests.of("submit")) == tries
    assert executions(lab) == []


def test_a_malformed_answer_has_run(lab) -> None:
    """The answer is unreadable, so the outcome is unknown."""
    ref = lab.deploy("add")
    lab.cloud.fail("malformed")
    with pytest.raises(MalformedResponse) as caught:
        lab.submit(ref, x=1)
    assert (caught.value.accepted, executions(lab)) == (None, [1])


def test_a_rate_limit_says_how_long(lab) -> None:
    """It is waited for that long."""
    ref = lab.deploy("add")
    lab.cloud.fail(Fault("rate_limit", delay_s=11, status=420, code="calm", message="calm down"))
    lab.cloud.fail(Fault("rate_limit", delay_s=11))
    with pytest.raises(ProviderUnavailable, match="calm down") as caught:
        lab.submit(ref, x=1)
    assert caught.value.status == 420
    assert lab.result(ref, x=1) == 2
    assert lab.clock.now() == 13.0


def test_faults_of_a_poll_are_waited_out(lab) -> None:
    """Asking again does no harm."""
    call = lab.spawn(lab.deploy("add"), x=1)
    lab.cloud.fail("server_error", on="poll", times=2)
    lab.cloud.fail("lost_response", on="poll")
    assert lab.poll(call, 30).phase is Phase.SUCCEEDED


def test_a_payload_that_is_too_large(make_lab) -> None:
    """Refused by the provider too, with both sizes; spawns have a limit of their own."""
    lab = make_lab(payload_limit=100, spawn_payload_limit=50)
    ref = lab.deploy("fail")
    assert lab.adapter.info.limits.payload_bytes == 100
    assert lab.adapter.info.limits.spawn_payload_bytes == 50
    with pytest.raises(PayloadTooLarge, match="limit is 100"):
        lab.submit(ref, message="x" * 100)
    with pytest.raises(PayloadTooLarge, match="limit is 50"):
        lab.spawn(ref, message="x" * 50)


def test_a_result_that_is_too_large(make_lab) -> None:
    """The call fails, and says why."""
    lab = make_lab(result_limit=1000)
    ref = lab.deploy("large")
    state = lab.submit(ref, size=1000)
    assert state.phase is Phase.FAILED
    assert isinstance(state.error, PayloadTooLarge)
    assert lab.result(ref, size=10) == "x" * 10


@pytest.mark.parametrize("payload", [b"not json", b"[1, 2]"])
def test_a_payload_that_is_no_object(lab, payload) -> None:
    """The call fails as a bad request."""
    ref = lab.deploy("add")
    call = lab.cloud.calls.invoke(ref.address, payload, 30.0)
    assert call.phase is Phase.FAILED
    assert call.problem is not None
    assert call.problem.code == "bad_request"


def test_a_stream(lab) -> None:
    """One envelope for each item, and the end."""
    ref = lab.deploy("count")
    assert list(lab.stream(ref, number=2)) == [
        {"result": 0},
        {"result": 1},
        {"gpuhub_end": {"items": 2, "wire": 1}},
    ]
    assert lab.clock.now() == 2.0
    assert lab.status(ref).workers.idle == 1


def test_a_stream_that_is_closed(lab) -> None:
    """Its worker is free again."""
    ref = lab.deploy("count", scaling=Scaling(max_workers=1))
    stream = lab.stream(ref, number=100)
    next(stream)
    assert lab.status(ref).workers.running == 1
    stream.close()
    assert lab.status(ref).workers.idle == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [("lost_response", ProviderUnavailable), ("crash", ProviderUnavailable)],
)
def test_a_stream_that_is_cut(lab, kind, error) -> None:
    """After some items; what the rest would have been is unknown."""
    ref = lab.deploy("count")
    lab.cloud.fail(kind, on="stream")
    seen = []
    with pytest.raises(error) as caught:
        seen.extend(lab.stream(ref, number=5))
    assert caught.value.accepted is None
    stream = lab.stream(ref, number=5)
    assert next(stream) == {"result": 0}
    stream.close()


def test_a_malformed_stream(lab) -> None:
    """A proxy's page in the place of chunks."""
    ref = lab.deploy("count")
    lab.cloud.fail("malformed", on="stream")
    with pytest.raises(json.JSONDecodeError):
        list(lab.stream(ref, number=5))
    assert lab.status(ref).workers.running == 0


def test_a_stream_that_never_begins(lab) -> None:
    """It ends with the function's timeout."""
    ref = lab.deploy("count", timeout=60)
    lab.cloud.fail("timeout", on="stream")
    with pytest.raises(CallTimedOut):
        list(lab.stream(ref, number=5))
    assert lab.clock.now() == 62.0


def test_a_stream_within_a_budget(lab) -> None:
    """The caller's time is up before a worker is."""
    ref = lab.deploy("count")
    lab.cloud.fail(Fault("cold_start", delay_s=90), on="stream")
    call = lab.cloud.calls.submit(ref.address, b'{"number": 1}', "stream")
    with pytest.raises(Exception, match="out of time"):
        list(lab.cloud.calls.read(call, 10.0))
    assert (call.phase, lab.clock.now()) == (Phase.CANCELLED, 10.0)


def test_webhooks_are_kept(lab) -> None:
    """Nothing is sent, but tests can look at what would have been."""
    ref = lab.deploy("add")
    call = lab.cloud.calls.invoke(ref.address, b'{"x": 1}', 30.0, webhook="https://example.org/h")
    (delivery,) = lab.cloud.webhooks
    assert delivery.url == "https://example.org/h"
    assert delivery.body == {"id": call.id, "status": "succeeded", "output": '{"result":2}'}


def test_faults_by_chance_are_repeatable(make_lab) -> None:
    """The same seed fails the same calls."""

    def pattern() -> list[bool]:
        lab = make_lab()
        ref = lab.deploy("add")
        lab.cloud.fail_randomly("capacity", probability=0.5, seed=7)
        outcomes = []
        for _ in range(20):
            try:
                lab.submit(ref, x=1)
                outcomes.append(True)
            except NoCapacity:
                outcomes.append(False)
        return outcomes

    first = pattern()
    assert first == pattern()
    assert len(set(first)) == 2


def test_finished_calls_are_forgotten_within_bounds(lab) -> None:
    """Many calls, or few large ones, do not fill the memory."""
    ref = lab.deploy("large")
    for _ in range(1500):
        lab.submit(ref, key="", size=1)
    for _ in range(30):
        lab.submit(ref, size=1_000_000)
    book = lab.cloud._site.book
    assert len(book._recent) <= 1000
    assert sum(len(call.output or b"") for call in book._recent.values()) <= 16_000_000
    assert book.all_live() == []


def test_deleting_cancels_calls(make_lab) -> None:
    """Queued and running ones alike."""
    lab = make_lab(mode="thread")
    lab.functions.GATES["z"] = threading.Event()
    ref = lab.deploy("gate", scaling=Scaling(max_workers=1))
    calls = [lab.spawn(ref, name="z") for _ in range(2)]
    lab.clock.advance(2)
    lab.run(lab.adapter.delete(lab.io, ref))
    assert [lab.poll(call).phase for call in calls] == [Phase.CANCELLED] * 2
    lab.functions.GATES["z"].set()


def test_two_providers_share_nothing(make_lab) -> None:
    """Neither deployments nor faults nor bills."""
    one, other = make_lab(), make_lab()
    ref = one.deploy("add")
    other.cloud.fail("capacity")
    assert one.result(ref, x=1) == 2
    assert other.run(other.adapter.find(other.io, ref.name)) is None
    assert other.cloud.billed_seconds.total == 0


class Gate(threading.Event):
    """One that tells when a call's code has come to it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.reached.set()
        return super().wait(timeout)


def test_stopping_the_provider_ends_who_waits_for_a_turn(lab) -> None:
    """No thread stays behind when a test's provider goes away."""
    lab.functions.GATES["held"] = gate = Gate()
    ref = lab.deploy("gate", scaling=Scaling(max_workers=1))
    threads = [
        threading.Thread(target=lab.submit, args=(ref,), kwargs={"name": "held"}) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    until(lambda: (lab.status(ref).in_flight, lab.status(ref).queue_depth) == (1, 1))
    assert gate.reached.wait(30)  # a call that was only given to a worker ends as well
    lab.cloud.stop()
    until(lambda: sum(thread.is_alive() for thread in threads) == 1)
    gate.set()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def test_a_provider_that_was_shut_down_takes_no_call(lab) -> None:
    """Nothing would ever run it."""
    ref = lab.deploy("add")
    lab.cloud.stop()
    with pytest.raises(ProviderUnavailable, match="shut down"):
        lab.submit(ref, x=1)


def test_a_cold_start_does_not_carry_running_code_past_its_timeout(lab) -> None:
    """Virtual time waits for code that really runs."""
    gates = lab.functions.GATES
    gates["first"], gates["second"] = first, second = Gate(), Gate()
    second.set()
    lab.cloud.fail(Fault("cold_start", delay_s=1.0), on="submit", times=1)
    ref = lab.deploy("gate", timeout=50, options={"mock": {"cold_start_s": 600.0}})
    ended = {}

    def call(name: str) -> None:
        ended[name] = lab.submit(ref, name=name, wait_s=3000.0)

    threads = [threading.Thread(target=call, args=(name,)) for name in ("first", "second")]
    threads[0].start()
    assert first.reached.wait(30)
    threads[1].start()
    until(lambda: lab.status(ref).workers.starting == 1)
    threads[1].join(0.1)  # in which it would move the clock
    gates["first"].set()
    for thread in threads:
        thread.join(30)
    assert [ended[name].phase for name in ("first", "second")] == [Phase.SUCCEEDED] * 2
