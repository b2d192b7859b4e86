"""Workers: from zero to the limit and back, and what they cost."""

# ruff: noqa: S101 - assert is how a test speaks
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gpuhub.adapter import EndpointStatus, Feature
from gpuhub.errors import SpecError
from gpuhub.scaling import Scaling
from gpuhub.spec import Schedule
from gpuhub.testing.contract.bench import HELD_S, Bench
from gpuhub.testing.contract.gates import needs

if TYPE_CHECKING:
    from gpuhub.call import Call
    from gpuhub.endpoint import Endpoint

__all__ = ["Workers"]

IDLE_S = 60.0
COLD_START_S = 120.0
"""Longer than any cold start an emulator plays unless it is told to."""


class Workers:
    """What ``Scaling`` promises."""

    @needs(Feature.SCALE_TO_ZERO, Feature.IDLE_TIMEOUT)
    def test_an_idle_worker_stops_and_is_no_longer_billed(self, bench: Bench) -> None:
        """After ``idle_timeout`` without a call there is no worker and no bill."""
        endpoint = bench.deploy("echo", scaling=Scaling(idle_timeout=IDLE_S))
        bench.invoke(endpoint, 1)
        assert bench.emulator.billed_seconds.total > 0
        bench.advance(2 * IDLE_S + COLD_START_S)
        _check_counts(_status(bench, endpoint), 0, 0)
        before = bench.emulator.billed_seconds.total
        bench.advance(3600)
        assert bench.emulator.billed_seconds.total == before

    @needs(Feature.SCALE_TO_ZERO, Feature.IDLE_TIMEOUT)
    def test_a_function_at_zero_wakes_for_a_call(self, bench: Bench) -> None:
        """The next call starts a worker again."""
        endpoint = bench.deploy("echo", scaling=Scaling(idle_timeout=IDLE_S))
        assert bench.invoke(endpoint, "first") == "first"
        bench.advance(10 * IDLE_S)
        assert bench.invoke(endpoint, "again") == "again"

    @needs(Feature.IDLE_TIMEOUT, Feature.KIND_CLASS)
    def test_a_worker_stays_within_its_idle_time(self, bench: Bench) -> None:
        """A call that comes soon enough finds the same, warm worker."""
        endpoint = bench.deploy("Counter", scaling=Scaling(idle_timeout=600))
        assert bench.invoke(endpoint)["calls"] == 1
        bench.advance(300)
        assert bench.invoke(endpoint)["calls"] == 2

    @needs(Feature.SCALE_TO_ZERO, Feature.IDLE_TIMEOUT, Feature.KIND_CLASS)
    def test_another_worker_is_set_up_again(self, bench: Bench) -> None:
        """After scaling to zero ``setup`` runs for the new worker."""
        endpoint = bench.deploy("Counter", scaling=Scaling(idle_timeout=IDLE_S))
        bench.invoke(endpoint)
        bench.advance(20 * IDLE_S)
        assert bench.invoke(endpoint)["calls"] == 1

    @needs(Feature.MIN_WORKERS, Feature.MAX_WORKERS)
    def test_min_workers_stay_warm(self, bench: Bench) -> None:
        """They start without a call, and stay however long none comes."""
        endpoint = bench.deploy("echo", scaling=Scaling(min_workers=2, max_workers=3))
        bench.advance(COLD_START_S)
        _check_counts(_status(bench, endpoint), 2, 2)
        before = bench.emulator.billed_seconds.total
        bench.advance(3600)
        _check_counts(_status(bench, endpoint), 2, 2)
        assert bench.emulator.billed_seconds.total - before == pytest.approx(7200, rel=0.05)

    @needs(Feature.MAX_WORKERS, Feature.SPAWN)
    def test_max_workers_is_not_exceeded(self, bench: Bench) -> None:
        """More calls than workers wait in the queue, and all are answered."""
        gate = bench.folder / "gate"
        endpoint = bench.deploy("wait_for", scaling=Scaling(max_workers=2))
        calls = _hold(bench, endpoint, gate, 5)
        bench.advance(COLD_START_S)
        bench.until(lambda: len(bench.log().lines()) >= 2, "two calls to run")
        bench.advance(COLD_START_S)
        _check_counts(_status(bench, endpoint), 1, 2)
        assert len(bench.log().lines()) == 2, "more calls run than there may be workers"
        _release(bench, gate, calls)

    @needs(Feature.CONCURRENCY, Feature.MAX_WORKERS, Feature.SPAWN)
    def test_one_worker_takes_several_calls(self, bench: Bench) -> None:
        """``concurrency`` calls run at the same time on one worker."""
        gate = bench.folder / "gate"
        scaling = Scaling(max_workers=1, concurrency=3)
        endpoint = bench.deploy("wait_for", scaling=scaling)
        calls = _hold(bench, endpoint, gate, 4)
        bench.advance(COLD_START_S)
        bench.until(lambda: len(bench.log().lines()) >= 3, "three calls to run")
        _check_counts(_status(bench, endpoint), 1, 1)
        _release(bench, gate, calls)

    @needs(Feature.SCALE_LIVE, Feature.MAX_WORKERS, Feature.IDLE_TIMEOUT)
    def test_limits_of_a_live_deployment_change(self, bench: Bench) -> None:
        """``scale`` reports the limits now in force, and the provider has them."""
        endpoint = bench.deploy("echo", scaling=Scaling(max_workers=2, idle_timeout=90))
        report = bench.drive.call(endpoint, "scale", max_workers=4)
        assert report.scaling.max_workers == 4
        assert report.scaling.idle_timeout == 90, "what was not named stays as it was declared"
        assert report.until
        in_force = _status(bench, endpoint).scaling.get("max_workers", 4)
        assert in_force == 4
        assert bench.invoke(endpoint, "still") == "still"

    @needs(Feature.SCALE_LIVE, Feature.MIN_WORKERS, Feature.IDLE_TIMEOUT)
    def test_min_workers_of_a_live_deployment(self, bench: Bench) -> None:
        """Raised, workers start without a call; lowered, they stop."""
        endpoint = bench.deploy("echo", scaling=Scaling(idle_timeout=IDLE_S))
        bench.drive.call(endpoint, "scale", Scaling(min_workers=1, idle_timeout=IDLE_S))
        bench.advance(COLD_START_S)
        _check_counts(_status(bench, endpoint), 1, 1)
        bench.drive.call(endpoint, "scale", Scaling(min_workers=0, idle_timeout=IDLE_S))
        bench.advance(2 * IDLE_S + COLD_START_S)
        _check_counts(_status(bench, endpoint), 0, 0)

    @needs(Feature.SCALE_LIVE, Feature.MAX_WORKERS)
    def test_the_next_deploy_puts_the_declared_limits_back(self, bench: Bench) -> None:
        """After ``scale`` an unchanged redeploy is no no-op."""
        scaling = Scaling(max_workers=2)
        endpoint = bench.deploy("echo", scaling=scaling)
        bench.drive.call(endpoint, "scale", max_workers=4)
        endpoint = bench.deploy("echo", scaling=scaling)
        assert _status(bench, endpoint).scaling.get("max_workers", 2) == 2

    @needs(Feature.SCALE_LIVE)
    def test_limits_that_do_not_agree_are_not_sent(self, bench: Bench) -> None:
        """``max_workers`` below ``min_workers`` is refused here."""
        endpoint = bench.deploy("echo")
        with bench.sends_no_mutation(), pytest.raises(SpecError, match="max_workers"):
            bench.drive.call(endpoint, "scale", max_workers=0)

    @needs(Feature.SCHEDULE)
    def test_a_schedule_runs_the_function(self, bench: Bench) -> None:
        """By itself, at its time, and not before."""
        log = bench.log()
        env = {"CONTRACT_LOG": str(log.path)}
        bench.deploy("tick", schedule=Schedule(every=3600), env=env)
        bench.advance(3000)
        assert log.lines() == []
        for _ in range(3):
            bench.advance(3600)
            bench.advance(COLD_START_S)
        bench.until(log.lines, "the schedule to run the function")

    @needs(Feature.WARM)
    def test_a_worker_can_be_warmed(self, bench: Bench) -> None:
        """``warm`` starts a worker without a call of the function's."""
        log = bench.log()
        endpoint = bench.deploy("record")
        with bench.sends_no_inference() if bench.is_native(Feature.WARM) else log.unchanged():
            bench.drive.call(endpoint, "warm")
        bench.advance(10)
        assert bench.emulator.billed_seconds.total > 0
        assert log.lines() == []


def _status(bench: Bench, endpoint: Endpoint[..., Any]) -> EndpointStatus:
    return bench.adapter_status(endpoint)


def _check_counts(status: EndpointStatus, least: int, most: int) -> None:
    """Where the provider tells its workers, their number is within the limits."""
    if status.workers is not None:
        assert least <= status.workers.total <= most, f"workers: {status.workers}"


def _hold(bench: Bench, endpoint: Endpoint[..., Any], gate: Any, count: int) -> list[Call[Any]]:
    """Spawn calls that run until the gate opens, and wait until the provider has all of them.

    Where gpuhub itself holds a spawned call, its request may leave after ``spawn`` returned.
    """
    log, mark = str(bench.log().path), len(bench.sent())
    calls = [bench.drive.call(endpoint, "spawn", str(gate), log, HELD_S) for _ in range(count)]
    bench.until(lambda: bench.submits_since(mark) >= count, f"{count} calls to be sent")
    return calls


def _release(bench: Bench, gate: Any, calls: list[Call[Any]]) -> None:
    gate.touch()
    results = [bench.drive.call(call, "result", timeout=3600) for call in calls]
    assert results == ["opened"] * len(calls)
