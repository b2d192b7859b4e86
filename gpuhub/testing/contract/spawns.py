"""Calls that nobody waits for: their state, result and cancel, from any process."""

# ruff: noqa: S101 - assert is how a test speaks
from __future__ import annotations

from typing import Any

import pytest

from gpuhub.adapter import CallRef, CancelReceipt, Feature, Phase
from gpuhub.call import Call
from gpuhub.errors import (
    CallCancelled,
    CallExpired,
    CallTimedOut,
    ConfigError,
    PayloadTooLarge,
    RemoteError,
)
from gpuhub.testing.contract.bench import HELD_S, Bench
from gpuhub.testing.contract.gates import needs
from gpuhub.testing.emulator import Fault

__all__ = ["Spawns"]

CONFIRMED = (CancelReceipt.CONFIRMED_TERMINAL, CancelReceipt.PROVIDER_ACK)


class Spawns:
    """What ``spawn`` and ``Call`` promise."""

    @needs(Feature.SPAWN)
    def test_a_spawned_call_gives_its_result(self, bench: Bench) -> None:
        """``spawn`` returns a call at once, ``result`` waits for it."""
        call = _spawn(bench, "echo", {"a": [0, "", None]})
        assert call.ref.provider == bench.provider
        assert _result(bench, call) == {"a": [0, "", None]}
        state = bench.drive.call(call, "state")
        assert state.phase is Phase.SUCCEEDED
        assert call.done

    @needs(Feature.SPAWN)
    def test_falsy_results_of_spawned_calls(self, bench: Bench) -> None:
        """A result that counts as false is a result, not «not yet»."""
        endpoint = bench.deploy("echo")
        falsy: list[Any] = [0, "", [], False, None, {}, b""]
        for value in falsy:
            call = bench.drive.call(endpoint, "spawn", value)
            assert _result(bench, call, timeout=600) == value

    @needs(Feature.SPAWN)
    def test_a_spawned_call_keeps_its_error(self, bench: Bench) -> None:
        """The user's exception comes out of ``result``, with the call's id."""
        call = _spawn(bench, "fail", "later")
        with pytest.raises(RemoteError, match="later") as caught:
            _result(bench, call)
        assert caught.value.call_id == call.id
        assert "_raise" in caught.value.remote_traceback

    @needs(Feature.SPAWN)
    def test_a_call_survives_a_restart(self, bench: Bench) -> None:
        """Another process, on another machine, gets state and result by the id alone."""
        text = _spawn(bench, "reversed_bytes", b"abc").id
        workspace = bench.restart(state="another-machine")
        known = bench.function("reversed_bytes").call(text)
        assert _result(bench, known) == b"cba"
        bare = Call.from_id(text, workspace=workspace)
        assert str(CallRef.parse(bare.id)) == text
        assert bench.drive.call(bare, "state").phase is Phase.SUCCEEDED
        assert _result(bench, bare) is not None

    @needs(Feature.SPAWN)
    def test_results_do_not_mix(self, bench: Bench) -> None:
        """Each of many calls in flight gives its own result."""
        endpoint = bench.deploy("echo")
        calls = [bench.drive.call(endpoint, "spawn", number) for number in range(8)]
        assert len({call.id for call in calls}) == 8
        assert [_result(bench, call) for call in reversed(calls)] == list(range(7, -1, -1))

    @needs(Feature.SPAWN)
    def test_a_wait_that_ends_leaves_the_call_running(self, bench: Bench) -> None:
        """``result(timeout=…)`` gives up the wait, not the call."""
        gate, log = bench.folder / "gate", bench.log()
        endpoint = bench.deploy("wait_for")
        call = bench.drive.call(endpoint, "spawn", str(gate), str(log.path), HELD_S)
        bench.drive.call(call, "state")
        with pytest.raises(CallTimedOut, match="goes on") as caught:
            _result(bench, call, timeout=0.05)
        assert caught.value.call_id == call.id
        gate.touch()
        assert _result(bench, call, timeout=600) == "opened"
        assert log.lines() == ["started", "opened"]

    @needs(Feature.SPAWN)
    def test_a_queued_call_can_be_cancelled(self, bench: Bench) -> None:
        """Cancelled before it began, it never runs."""
        log = bench.log()
        endpoint = bench.deploy("record")
        bench.emulator.fail(Fault("cold_start", delay_s=500), on="start", times=5)
        call = bench.drive.call(endpoint, "spawn", 1, str(log.path))
        assert bench.drive.call(call, "state").phase is Phase.QUEUED
        receipt = bench.drive.call(call, "cancel")
        if bench.lacks(Feature.CANCEL_QUEUED):
            assert receipt is not CancelReceipt.CONFIRMED_TERMINAL
            return
        assert receipt in CONFIRMED
        bench.advance(1000)
        assert bench.drive.call(call, "state").phase is Phase.CANCELLED
        with pytest.raises(CallCancelled):
            _result(bench, call)
        assert log.lines() == []

    @needs(Feature.SPAWN)
    def test_a_running_call_can_be_cancelled(self, bench: Bench) -> None:
        """A running call ends, and the receipt says how sure that is."""
        endpoint = bench.deploy("echo")
        bench.emulator.fail("timeout", on="submit")
        call = bench.drive.call(endpoint, "spawn", 1)
        bench.advance(20)
        assert bench.drive.call(call, "state").phase is Phase.RUNNING
        receipt = bench.drive.call(call, "cancel")
        assert isinstance(receipt, CancelReceipt)
        _check_receipt(bench, call, receipt)
        if bench.lacks(Feature.CANCEL_RUNNING):
            assert receipt is not CancelReceipt.CONFIRMED_TERMINAL
            return
        assert receipt in CONFIRMED
        with pytest.raises(CallCancelled):
            _result(bench, call, timeout=600)

    @needs(Feature.SPAWN)
    def test_cancelling_twice_does_no_harm(self, bench: Bench) -> None:
        """A call that has ended is confirmed as ended, and keeps its result."""
        call = _spawn(bench, "echo", "kept")
        assert _result(bench, call) == "kept"
        assert bench.drive.call(call, "cancel") is CancelReceipt.CONFIRMED_TERMINAL
        assert bench.drive.call(call, "state").phase is Phase.SUCCEEDED

    @needs(Feature.SPAWN)
    def test_an_unknown_call_has_expired(self, bench: Bench) -> None:
        """What the provider does not know any more is expired, not an endless wait."""
        ref = _spawn(bench, "echo", 1).ref
        gone = f"{ref.provider}://{ref.deployment}/no-such-call"
        call = Call.from_id(gone, workspace=bench.workspace)
        assert bench.drive.call(call, "state").phase is Phase.EXPIRED
        with pytest.raises(CallExpired):
            _result(bench, call)

    def test_a_text_that_is_no_call_id(self, bench: Bench) -> None:
        """A wrong id is refused here, with an example of a right one."""
        with bench.sends_nothing(), pytest.raises(ConfigError, match="provider://"):
            Call.from_id("not-a-call", workspace=bench.workspace)

    @needs(Feature.SPAWN)
    def test_a_too_large_spawn_is_refused_before_sending(self, bench: Bench) -> None:
        """Spawned calls may have a smaller limit; it is checked here too."""
        limits = bench.adapter.info.limits
        limit = limits.spawn_payload_bytes or limits.payload_bytes
        endpoint = bench.deploy("size_of")
        if limit is None:
            call = bench.drive.call(endpoint, "spawn", "x" * 2_000_000)
            assert _result(bench, call) == 2_000_000
            return
        with bench.sends_nothing(), pytest.raises(PayloadTooLarge, match="spawned"):
            bench.drive.call(endpoint, "spawn", "x" * limit)


def _spawn(bench: Bench, name: str, *args: Any) -> Call[Any]:
    call: Call[Any] = bench.drive.call(bench.deploy(name), "spawn", *args)
    return call


def _result(bench: Bench, call: Call[Any], timeout: float | None = None) -> Any:
    return bench.drive.call(call, "result", timeout=timeout)


def _check_receipt(bench: Bench, call: Call[Any], receipt: CancelReceipt) -> None:
    """The strongest receipt is only given when the provider itself reports the end."""
    if receipt is CancelReceipt.CONFIRMED_TERMINAL:
        phase = bench.drive.call(call, "state").phase
        assert phase.is_terminal, f"confirmed as ended, but the provider says {phase.value}"
