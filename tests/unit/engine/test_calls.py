"""Calls: at most once, followed to their end, cancelled when the caller gives up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gpuhub import _drive, errors
from gpuhub._engine import Calls, CallSettings
from gpuhub.adapter import CancelReceipt, Feature, Limits, Phase, Support
from tests.unit.engine.fakes import (
    CALL,
    REF,
    RESULT,
    FakeAdapter,
    FakeIo,
    FakeJournal,
    done,
    state,
)

LOST = errors.ProviderUnavailable("the connection dropped", accepted=None)


def make(**scripts):
    """Give calls over a scripted adapter."""
    adapter: Any = FakeAdapter(**scripts)
    journal: Any = FakeJournal()
    return Calls(adapter, journal), adapter, journal, FakeIo()


def invoke(calls, io, **settings):
    """Run one call to its end."""
    return _drive.run(calls.invoke(io, REF, b"{}", CallSettings(**settings)))


def test_a_result_that_comes_with_the_submit_needs_no_poll():
    """The fast path is one exchange."""
    calls, adapter, journal, io = make(submit=[done()])
    assert invoke(calls, io).output == RESULT
    assert adapter.count("poll") == 0
    assert journal.written() == ["begin_call", "end_call"]


def test_a_queued_call_is_polled_with_growing_pauses():
    """Pauses grow, so that long calls are not asked about all the time."""
    waiting = [state(Phase.QUEUED)] * 3
    calls, _, journal, io = make(submit=[state(Phase.QUEUED)], poll=[*waiting, done()])
    assert invoke(calls, io).output == RESULT
    assert io.sleeps == sorted(io.sleeps)
    assert journal.written() == ["begin_call", "accept_call", "end_call"]


def test_the_provider_may_say_when_to_poll():
    """``poll_after`` replaces the engine's own pause."""
    calls, _, _, io = make(
        submit=[state(Phase.QUEUED)], poll=[state(Phase.RUNNING, poll_after=3.5), done()]
    )
    invoke(calls, io)
    assert io.sleeps == [3.5]


def test_a_lost_answer_is_not_sent_again():
    """One submit, and an error that says it may have run."""
    calls, adapter, journal, io = make(submit=[LOST, done()])
    with pytest.raises(errors.OutcomeUnknown, match="may or may not have run") as caught:
        invoke(calls, io, idempotency_key="key-1")
    assert adapter.count("submit") == 1
    assert caught.value.idempotency_key == "key-1"
    assert caught.value.__cause__ is LOST
    assert journal.lines[-1] == ("end_call", "key-1", "OutcomeUnknown")


def test_an_idempotent_call_is_sent_again_with_the_same_key():
    """Running twice does no harm, and the provider may recognise the key."""
    calls, adapter, _, io = make(submit=[LOST, LOST, done()])
    assert invoke(calls, io, idempotent=True).output == RESULT
    keys = {line[1].idempotency_key for line in adapter.seen}
    assert adapter.count("submit") == 3
    assert len(keys) == 1


def test_a_provider_with_keys_is_asked_again():
    """The key makes the second submit the same call."""
    calls, adapter, _, io = make(submit=[LOST, done()])
    adapter.capabilities[Feature.IDEMPOTENCY_KEY] = Support.native()
    assert invoke(calls, io).output == RESULT
    assert adapter.count("submit") == 2


def test_an_idempotent_call_is_not_sent_again_for_ever():
    """Three tries, then the outcome is unknown."""
    calls, adapter, _, io = make(submit=[LOST] * 9)
    with pytest.raises(errors.OutcomeUnknown):
        invoke(calls, io, idempotent=True)
    assert adapter.count("submit") == 3


def test_a_refusal_is_raised_as_it_is():
    """It certainly did not run."""
    refusal = errors.NoCapacity("no A100 free")
    calls, adapter, journal, io = make(submit=[refusal])
    with pytest.raises(errors.NoCapacity):
        invoke(calls, io, idempotent=True)
    assert adapter.count("submit") == 1
    assert journal.lines[-1][2] == "NoCapacity"


@pytest.mark.parametrize("receipt", list(CancelReceipt))
def test_a_local_timeout_cancels_and_says_what_that_achieved(receipt):
    """The caller learns whether the call may still run."""
    calls, adapter, _, io = make(
        submit=[state(Phase.QUEUED)], poll=[state(Phase.RUNNING)] * 99, cancel=[receipt]
    )
    with pytest.raises(errors.CallTimedOut) as caught:
        invoke(calls, io, budget_s=5.0)
    assert caught.value.cancel == receipt.value
    assert caught.value.call_id == str(CALL)
    assert adapter.count("cancel") == 1
    assert io.time == pytest.approx(5.0)


def test_polls_never_wait_past_the_budget():
    """The last long poll is cut to what is left."""
    calls, adapter, _, io = make(
        submit=[state(Phase.QUEUED)],
        poll=[state(Phase.RUNNING)] * 99,
        cancel=[CancelReceipt.PROVIDER_ACK],
    )
    with pytest.raises(errors.CallTimedOut):
        invoke(calls, io, budget_s=3.0)
    waits = [line[1] for line in adapter.seen if line[0] == "poll"]
    assert max(waits) <= 3.0
    assert waits[-1] == 0.0


def test_a_submit_cut_off_by_the_budget_is_a_timeout():
    """A provider without a queue holds the answer until the end."""
    calls, _, _, io = make()

    async def slow(*_):
        await io.sleep(2.0)
        raise LOST

    calls.adapter.submit = slow
    with pytest.raises(errors.CallTimedOut) as caught:
        invoke(calls, io, budget_s=2.0)
    assert caught.value.cancel == "channel_closed"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_an_interrupted_wait_cancels_the_remote_call(interruption):
    """Ctrl-C leaves nothing running and billed."""
    calls, adapter, journal, io = make(
        submit=[state(Phase.QUEUED)], poll=[interruption], cancel=[CancelReceipt.PROVIDER_ACK]
    )
    with pytest.raises(type(interruption)):
        invoke(calls, io)
    assert adapter.count("cancel") == 1
    assert journal.written()[-1] == "end_call"


def test_a_failed_cancel_does_not_hide_the_interruption():
    """The reason to stop matters more."""
    calls, _, _, io = make(submit=[state(Phase.QUEUED)], poll=[KeyboardInterrupt()], cancel=[LOST])
    with pytest.raises(KeyboardInterrupt):
        invoke(calls, io)


@pytest.mark.parametrize(
    ("phase", "error"),
    [
        (Phase.FAILED, errors.CallFailed),
        (Phase.CANCELLED, errors.CallCancelled),
        (Phase.TIMED_OUT, errors.CallTimedOut),
        (Phase.EXPIRED, errors.CallExpired),
    ],
)
def test_each_end_without_a_result_has_its_error(phase, error):
    """Errors know their call and carry the provider's words."""
    calls, _, _, io = make(submit=[state(phase, detail="said the provider")])
    with pytest.raises(error, match="said the provider") as caught:
        invoke(calls, io)
    assert type(caught.value) is error
    assert caught.value.call_id == "fake://dep-1/call-1"


def test_a_platform_failure_is_raised_as_the_adapter_made_it():
    """An adapter knows best what its provider's failure was."""
    failure = errors.RemoteError("boom", remote_traceback="Traceback …")
    calls, _, _, io = make(submit=[state(Phase.FAILED, error=failure)])
    with pytest.raises(errors.RemoteError) as caught:
        invoke(calls, io)
    assert caught.value is failure


def test_a_forgotten_call_is_expired():
    """404 on a poll: the provider had it and has it no more."""
    calls, _, _, io = make(submit=[state(Phase.QUEUED)], poll=[errors.NotFound("no such job")])
    with pytest.raises(errors.CallExpired):
        invoke(calls, io)


def test_a_call_that_cannot_be_asked_about_is_unknown_not_lost():
    """The id is in the error, to ask again later."""
    calls, adapter, _, io = make(
        submit=[state(Phase.QUEUED)], poll=[errors.ProviderUnavailable("down")]
    )
    with pytest.raises(errors.OutcomeUnknown) as caught:
        invoke(calls, io)
    assert caught.value.call_id == str(CALL)
    assert "from_id('fake://dep-1/call-1')" in caught.value.next_step
    assert adapter.count("cancel") == 0


def test_a_spawn_does_not_wait():
    """Its reference is enough."""
    calls, adapter, _, io = make(submit=[state(Phase.QUEUED)])
    assert _drive.run(calls.spawn(io, REF, b"{}", CallSettings())) == CALL
    assert adapter.seen[0][1].wait_s == 0.0


def test_waiting_with_no_time_asks_once():
    """``result(timeout=0)`` tells whether it is there."""
    calls, adapter, _, io = make(poll=[done()])
    assert _drive.run(calls.wait(io, CALL, 0)).output == RESULT
    assert adapter.seen == [("poll", 0.0)]


def test_waiting_in_vain_leaves_the_call_running():
    """Only a caller's own budget cancels."""
    calls, adapter, _, io = make(poll=[state(Phase.RUNNING)] * 99)
    with pytest.raises(errors.CallTimedOut, match="it goes on"):
        _drive.run(calls.wait(io, CALL, 1.0))
    assert adapter.count("cancel") == 0


@pytest.mark.parametrize(("size", "spawned"), [(101, False), (51, True)])
def test_arguments_over_the_limit_are_refused_before_anything_is_sent(size, spawned):
    """The provider would refuse them later, and less clearly."""
    adapter: Any = FakeAdapter(Limits(payload_bytes=100, spawn_payload_bytes=50), submit=[])
    journal: Any = FakeJournal()
    io: Any = FakeIo()
    calls = Calls(adapter, journal)
    send = calls.spawn if spawned else calls.invoke
    with pytest.raises(errors.PayloadTooLarge, match="at most"):
        _drive.run(send(io, REF, b"x" * size, CallSettings()))
    assert adapter.seen == []
    assert journal.lines == []


def test_arguments_at_the_limit_are_sent():
    """The limit itself is allowed."""
    adapter: Any = FakeAdapter(limits=Limits(payload_bytes=100), submit=[done()])
    journal: Any = FakeJournal()
    io: Any = FakeIo()
    calls = Calls(adapter, journal)
    assert _drive.run(calls.invoke(io, REF, b"x" * 100, CallSettings())).output == RESULT


def test_the_journal_is_written_before_the_submit():
    """A full disk stops the call before it is sent."""
    calls, adapter, journal, io = make(submit=[done()])

    def full(*_, **__):
        raise errors.JournalError("the disk is full")

    journal.begin_call = full
    with pytest.raises(errors.JournalError):
        invoke(calls, io)
    assert adapter.count("submit") == 0


def test_a_cut_stream_has_an_unknown_outcome():
    """What was received is given first."""
    calls, _, _, io = make(stream=[b"1", LOST])
    chunks = _drive.sync_iter(calls.stream(io, REF, b"{}", CallSettings()))
    assert next(chunks) == b"1"
    with pytest.raises(errors.OutcomeUnknown):
        next(chunks)


def test_cancelling_a_call_the_provider_forgot_is_confirmed():
    """It has ended in any case."""
    calls, _, _, io = make(cancel=[errors.NotFound("gone")])
    assert _drive.run(calls.cancel(io, CALL)) is CancelReceipt.CONFIRMED_TERMINAL


def test_a_cancel_without_an_answer_has_no_evidence():
    """Nothing is claimed that is not known."""
    calls, _, _, io = make(cancel=[LOST])
    assert _drive.run(calls.cancel(io, CALL)) is CancelReceipt.NO_EVIDENCE


def test_retry_and_purge_are_refused_where_nobody_has_them():
    """With the way round, before anything is sent."""
    calls, _, _, io = make()
    with pytest.raises(errors.UnsupportedSetting, match="has no retry") as caught:
        _drive.run(calls.retry(io, CALL))
    assert "submit the call again" in str(caught.value)
    with pytest.raises(errors.UnsupportedSetting, match="has no purge_queue"):
        _drive.run(calls.purge_queue(io, REF))


def test_a_retry_is_asked_for_once():
    """When its answer is lost, the call may be running again."""
    calls, adapter, _, io = make()
    asked = []

    async def retry(_io, call):
        asked.append(call)
        raise LOST

    adapter.retry = retry
    with pytest.raises(errors.OutcomeUnknown):
        _drive.run(calls.retry(io, CALL))
    assert asked == [CALL]
