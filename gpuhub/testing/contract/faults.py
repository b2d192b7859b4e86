"""What goes wrong at a provider: the right error each time, nothing run twice, nothing lost."""

# ruff: noqa: S101 - assert is how a test speaks
from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from gpuhub.adapter import CancelReceipt, Feature
from gpuhub.errors import (
    AuthFailed,
    CallFailed,
    CallTimedOut,
    GpuHubError,
    MalformedResponse,
    MissingCredentials,
    NoCapacity,
    OutcomeUnknown,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RemoteError,
)
from gpuhub.testing.contract.bench import Bench
from gpuhub.testing.contract.gates import needs
from gpuhub.testing.emulator import Fault

if TYPE_CHECKING:
    from gpuhub.call import Call

__all__ = ["Faults"]

MANY = 50
"""More times than any retry policy tries."""
_STEP_PATIENCE_S = 0.2
"""Real seconds to wait for running code before more of the provider's time passes."""


class Faults:
    """Errors, retries and time-outs."""

    def test_a_refused_credential(self, bench: Bench) -> None:
        """``AuthFailed`` says what to do, is not retried, and the call has not run."""
        log, endpoint = bench.log(), bench.deploy("record")
        bench.emulator.fail("unauthorized", on="submit", times=MANY)
        mark = len(bench.sent())
        with pytest.raises(AuthFailed) as caught:
            bench.invoke(endpoint, 1, str(log.path))
        _check_provider_error(bench, caught.value)
        assert bench.submits_since(mark) == 1
        assert log.lines() == []

    def test_missing_credentials(self, bench: Bench) -> None:
        """Without its credential a deploy is refused before any request, naming the variable."""
        required = [each for each in bench.module.INFO.credentials if each.required]
        bench.use(bench.open_workspace(environ={"GPUHUB_STATE_DIR": str(bench.folder / "bare")}))
        if not required:
            assert bench.invoke(bench.deploy("echo"), "no account") == "no account"
            return
        with bench.sends_nothing(), pytest.raises(MissingCredentials) as caught:
            bench.deploy("echo")
        assert any(each.env in str(caught.value) for each in required)

    def test_a_rate_limit_is_waited_for(self, bench: Bench) -> None:
        """429 means not run: the call waits as long as it was told and goes out again."""
        log, endpoint = bench.log(), bench.deploy("record")
        bench.emulator.fail(Fault("rate_limit", delay_s=7), on="submit", times=2)
        started = bench.emulator.clock.now()
        assert bench.invoke(endpoint, "done", str(log.path)) == "done"
        assert bench.emulator.clock.now() - started >= 14
        assert log.lines() == ["done"]

    def test_a_lasting_rate_limit(self, bench: Bench) -> None:
        """In the end it is ``RateLimited``, with the wait that was asked for."""
        log, endpoint = bench.log(), bench.deploy("record")
        bench.emulator.fail(Fault("rate_limit", delay_s=5), on="submit", times=MANY)
        with pytest.raises(RateLimited) as caught:
            bench.invoke(endpoint, 1, str(log.path))
        _check_provider_error(bench, caught.value)
        assert caught.value.retry_after == pytest.approx(5)
        assert log.lines() == []

    def test_no_capacity(self, bench: Bench) -> None:
        """A provider without a free GPU says so; the call has not run."""
        log, endpoint = bench.log(), bench.deploy("record")
        bench.emulator.fail("capacity", on="submit", times=MANY)
        with pytest.raises(NoCapacity) as caught:
            bench.invoke(endpoint, 1, str(log.path))
        _check_provider_error(bench, caught.value)
        assert log.lines() == []

    def test_a_submit_whose_answer_was_lost(self, bench: Bench) -> None:
        """It ran or it did not: it is never run twice, and never reported as failed."""
        log, endpoint = bench.log(), bench.deploy("record")
        bench.emulator.fail("lost_response", on="submit")
        _check_once(bench, lambda: bench.invoke(endpoint, "once", str(log.path)))
        _let_run(bench, endpoint)
        bench.until(log.lines, "the call to run")
        assert log.lines() == ["once"]

    @needs(Feature.SPAWN)
    def test_a_spawn_whose_answer_was_lost(self, bench: Bench) -> None:
        """Not sent again either, unless the provider knows the key."""
        log, endpoint = bench.log(), bench.deploy("record")
        bench.emulator.fail("lost_response", on="submit")

        def spawned() -> Any:
            call = bench.drive.call(endpoint, "spawn", "once", str(log.path))
            return bench.drive.call(call, "result", timeout=600)

        _check_once(bench, spawned)
        _let_run(bench, endpoint)
        bench.until(log.lines, "the call to run")
        _let_run(bench, endpoint)
        bench.until(lambda: _is_quiet(bench, endpoint), "all calls to end")
        assert log.lines() == ["once"]

    def test_an_idempotent_submit_is_sent_again(self, bench: Bench) -> None:
        """Where running twice does no harm, a lost answer costs only time."""
        log, endpoint = bench.log(), bench.deploy("record", idempotent=True)
        bench.emulator.fail("lost_response", on="submit")
        assert bench.invoke(endpoint, "again", str(log.path)) == "again"
        assert log.lines() in (["again"], ["again", "again"])

    def test_an_answer_that_is_no_answer(self, bench: Bench) -> None:
        """A proxy's page instead of JSON: unknown, unless the key says otherwise; run once."""
        log, endpoint = bench.log(), bench.deploy("record")
        bench.emulator.fail("malformed", on="submit")
        _check_once(bench, lambda: bench.invoke(endpoint, "once", str(log.path)))
        _let_run(bench, endpoint)
        bench.until(log.lines, "the call to run")
        assert log.lines() == ["once"]

    @needs(Feature.STATUS)
    def test_a_status_that_is_no_status(self, bench: Bench) -> None:
        """What is not as the provider documents it is ``MalformedResponse``, not a crash."""
        endpoint = bench.deploy("echo")
        bench.emulator.fail("malformed", on="status", times=MANY)
        with pytest.raises(MalformedResponse) as caught:
            bench.drive.call(endpoint, "status")
        assert caught.value.provider == bench.provider

    @needs(Feature.SPAWN)
    def test_a_poll_that_fails_is_repeated(self, bench: Bench) -> None:
        """Asking again does no harm: a server error on the way is not the call's end."""
        endpoint = bench.deploy("echo")
        call = bench.drive.call(endpoint, "spawn", "kept")
        bench.emulator.fail("server_error", on="poll", times=2)
        assert bench.drive.call(call, "result", timeout=600) == "kept"

    @needs(Feature.SPAWN)
    def test_a_poll_that_never_works(self, bench: Bench) -> None:
        """The call is not reported as failed: it may run. Later it can be asked again."""
        endpoint = bench.deploy("echo")
        call = bench.drive.call(endpoint, "spawn", "kept")
        bench.emulator.fail("server_error", on="poll", times=MANY)
        with pytest.raises(OutcomeUnknown) as caught:
            bench.drive.call(call, "result", timeout=600)
        assert caught.value.call_id == call.id
        _heal(bench, call)
        assert bench.drive.call(call, "result", timeout=600) == "kept"

    def test_a_server_error_on_submit(self, bench: Bench) -> None:
        """A 500 tells nothing about the call: unknown, unless the provider knows keys."""
        log, endpoint = bench.log(), bench.deploy("record")
        bench.emulator.fail("server_error", on="submit")
        outcome = bench.attempt(lambda: bench.invoke(endpoint, "x", str(log.path)))
        if isinstance(outcome, GpuHubError):
            assert isinstance(outcome, OutcomeUnknown | ProviderUnavailable)
            assert outcome.provider == bench.provider
        else:
            assert outcome == "x"
        _let_run(bench, endpoint)
        assert len(log.lines()) <= 1

    def test_a_worker_that_dies(self, bench: Bench) -> None:
        """The call fails with the platform's words, not as an error of the function."""
        endpoint = bench.deploy("echo")
        bench.emulator.fail("crash", on="submit")
        with pytest.raises((CallFailed, ProviderError)) as caught:
            bench.invoke(endpoint, 1)
        assert not isinstance(caught.value, RemoteError)
        assert caught.value.provider == bench.provider
        assert bench.invoke(endpoint, 2) == 2

    def test_a_local_timeout_cancels_the_call(self, bench: Bench) -> None:
        """At the end of the caller's budget the call is cancelled; the error says how surely."""
        endpoint = bench.deploy("echo")
        bench.emulator.fail("timeout", on="submit")
        with pytest.raises(CallTimedOut, match="30") as caught:
            bench.invoke(endpoint.with_options(timeout=30), 1)
        assert caught.value.cancel in {receipt.value for receipt in CancelReceipt}
        assert caught.value.provider == bench.provider
        if not bench.lacks(Feature.CANCEL_RUNNING):
            assert bench.adapter_status(endpoint).in_flight in (None, 0)
        assert bench.invoke(endpoint, "next") == "next"

    @needs(Feature.TIMEOUT)
    def test_the_providers_timeout_ends_a_call(self, bench: Bench) -> None:
        """A call that runs longer than ``timeout`` is ended by the provider and not billed on."""
        endpoint = bench.deploy("echo", timeout=120)
        bench.emulator.fail("timeout", on="submit")
        with pytest.raises(CallTimedOut) as caught:
            bench.invoke(endpoint, 1)
        assert caught.value.cancel == ""
        assert bench.invoke(endpoint, "next") == "next"

    def test_a_long_cold_start_is_waited_for(self, bench: Bench) -> None:
        """Without a budget the caller waits for the worker."""
        endpoint = bench.deploy("echo")
        bench.emulator.fail(Fault("cold_start", delay_s=240), on="start")
        assert bench.invoke(endpoint, "cold") == "cold"

    def test_a_refused_deploy_names_the_provider(self, bench: Bench) -> None:
        """Errors of the control plane carry the same facts."""
        bench.emulator.fail("unauthorized", on="deploy", times=MANY)
        with pytest.raises(AuthFailed) as caught:
            bench.deploy("echo")
        _check_provider_error(bench, caught.value)


def _check_provider_error(bench: Bench, error: ProviderError) -> None:
    assert error.provider == bench.provider
    assert error.accepted is False, "it was refused, so it certainly had no effect"
    assert error.status is not None or bench.module.INFO.extra, "the HTTP status is missing"
    assert bench.provider in str(error)


def _check_once(bench: Bench, call: Callable[[], Any]) -> None:
    """A call whose answer was lost: its result where the provider knows keys, else unknown."""
    if bench.is_native(Feature.IDEMPOTENCY_KEY):
        assert call() == "once"
        return
    with pytest.raises(OutcomeUnknown) as caught:
        call()
    _check_unknown(bench, caught.value)


def _check_unknown(bench: Bench, error: OutcomeUnknown) -> None:
    assert error.provider == bench.provider
    assert error.idempotency_key
    assert "idempotent" in error.next_step


def _is_quiet(bench: Bench, endpoint: Any) -> bool:
    """Whether nothing waits or runs any more, as far as the provider tells."""
    status = bench.drive.call(endpoint, "status")
    return not (status.queue_depth or status.in_flight)


def _let_run(bench: Bench, endpoint: Any) -> None:
    """Give whatever was accepted 300 s to run.

    In steps, since a jump would end code that has just begun: a call that runs twice would go
    unnoticed.
    """
    for _ in range(30):
        bench.advance(10)
        ends = time.monotonic() + _STEP_PATIENCE_S
        while time.monotonic() < ends and not _is_idle(bench, endpoint):
            time.sleep(0.002)


def _is_idle(bench: Bench, endpoint: Any) -> bool:
    """Whether no code runs, as far as the provider tells; what waits needs more of its time."""
    with suppress(GpuHubError):
        return not bench.drive.call(endpoint, "status").in_flight
    return True


def _heal(bench: Bench, call: Call[Any]) -> None:
    """Ask until the faults are played off."""
    for _ in range(MANY):
        with suppress(GpuHubError):
            bench.drive.call(call, "state")
            return
