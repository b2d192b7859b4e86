"""Workers: cold start, limits, idling out, versions, and the bill."""

from __future__ import annotations

import threading

import pytest

from gpuhub.adapter import Phase, Rollout
from gpuhub.errors import BadRequest, NoCapacity, NotFound
from gpuhub.scaling import Scaling
from gpuhub.testing.emulator import Fault
from gpuhub_mock.emulator.autoscaler import desired_workers
from gpuhub_mock.emulator.bodies import Workers


def test_a_cold_start_moves_the_clock(lab) -> None:
    """The first call takes the cold start, the second none."""
    ref = lab.deploy("add")
    first = lab.submit(ref, x=1)
    assert (first.phase, first.queued_s, lab.clock.now()) == (Phase.SUCCEEDED, 2.0, 2.0)
    second = lab.submit(ref, x=1)
    assert (second.queued_s, lab.clock.now()) == (0.0, 2.0)
    assert first.worker == second.worker


def test_an_idle_worker_stops_to_the_second(lab) -> None:
    """Billed from start to the end of the idle time, however far the clock jumps."""
    ref = lab.deploy("add", scaling=Scaling(idle_timeout=45))
    lab.submit(ref, x=1)
    lab.clock.advance(10_000)
    assert lab.status(ref).workers.total == 0
    assert dict(lab.cloud.billed_seconds) == {"worker-1": 47.0}
    assert lab.cloud.billed_seconds.total == 47.0


def test_a_call_in_time_keeps_the_worker(lab) -> None:
    """The idle time begins again with each call."""
    ref = lab.deploy("add", scaling=Scaling(idle_timeout=45))
    for _ in range(3):
        lab.submit(ref, x=1)
        lab.clock.advance(44)
    assert lab.status(ref).workers.idle == 1
    lab.clock.advance(1)
    assert lab.status(ref).workers.total == 0


def test_an_idle_timeout_of_zero(lab) -> None:
    """The worker stops with its last call."""
    ref = lab.deploy("add", scaling=Scaling(idle_timeout=0))
    lab.submit(ref, x=1)
    assert lab.status(ref).workers.total == 0
    assert lab.cloud.billed_seconds.total == 2.0


def test_active_workers_stay(lab) -> None:
    """They start with the deploy, which is in progress until the first is ready."""
    ref = lab.deploy("add", scaling=Scaling(min_workers=2))
    assert lab.status(ref).rollout is Rollout.IN_PROGRESS
    lab.clock.advance(2)
    status = lab.status(ref)
    assert (status.rollout, status.workers.idle) == (Rollout.READY, 2)
    lab.clock.advance(998)
    assert lab.cloud.billed_seconds.total == 2000.0


def test_calls_wait_for_the_first_version(lab) -> None:
    """A call during the first rollout is queued, not refused."""
    ref = lab.deploy("add", scaling=Scaling(min_workers=1))
    assert lab.result(ref, x=1) == 2
    assert lab.clock.now() == 2.0


def test_no_more_workers_than_allowed(make_lab) -> None:
    """Calls beyond the limit wait and are taken in order."""
    lab = make_lab(mode="thread")
    lab.functions.GATES["g"] = threading.Event()
    ref = lab.deploy("gate", scaling=Scaling(max_workers=2))
    calls = [lab.spawn(ref, name="g") for _ in range(5)]
    lab.clock.advance(2)
    status = lab.status(ref)
    assert (status.workers.running, status.queue_depth, status.in_flight) == (2, 3, 2)
    lab.functions.GATES["g"].set()
    assert [lab.poll(call, 60).phase for call in calls] == [Phase.SUCCEEDED] * 5
    assert len(lab.cloud.billed_seconds) == 2


def test_one_worker_takes_several_calls(make_lab) -> None:
    """As many as its concurrency."""
    lab = make_lab(mode="thread")
    lab.functions.GATES["c"] = threading.Event()
    ref = lab.deploy("gate", scaling=Scaling(max_workers=1, concurrency=3))
    calls = [lab.spawn(ref, name="c") for _ in range(4)]
    lab.clock.advance(2)
    status = lab.status(ref)
    assert (status.workers.total, status.in_flight, status.queue_depth) == (1, 3, 1)
    lab.functions.GATES["c"].set()
    assert all(lab.poll(call, 60).phase is Phase.SUCCEEDED for call in calls)


@pytest.mark.parametrize(
    ("limits", "load", "expected"),
    [
        (Workers(), 0, 0),
        (Workers(), 1, 1),
        (Workers(), 7, 3),
        (Workers(max=10, concurrency=4), 9, 3),
        (Workers(max=10, concurrency=4, target_in_flight=2), 9, 5),
        (Workers(max=10, buffer=2), 1, 3),
        (Workers(max=10, buffer=2), 0, 0),
        (Workers(max=3, buffer=2), 3, 3),
        (Workers(min=2, max=3), 0, 2),
    ],
)
def test_the_autoscalers_rule(limits, load, expected) -> None:
    """By calls in flight, with the buffer under load, within the limits."""
    assert desired_workers(limits, load) == expected


def test_a_scale_up_delay(make_lab) -> None:
    """A second worker is only added when a call has waited so long."""
    lab = make_lab(mode="thread")
    lab.functions.GATES["d"] = threading.Event()
    ref = lab.deploy("gate", scaling=Scaling(scale_up_delay=10))
    calls = [lab.spawn(ref, name="d") for _ in range(2)]
    lab.clock.advance(9)
    assert lab.status(ref).workers.total == 1
    lab.clock.advance(1)
    assert lab.status(ref).workers.total == 2
    lab.functions.GATES["d"].set()
    assert all(lab.poll(call, 60).phase is Phase.SUCCEEDED for call in calls)


def test_buffer_workers_start_under_load(lab) -> None:
    """One more than the busy one, and both idle out."""
    ref = lab.deploy("add", scaling=Scaling(buffer_workers=1))
    lab.submit(ref, x=1)
    assert lab.status(ref).workers.idle == 2
    lab.clock.advance(61)
    assert lab.status(ref).workers.total == 0


def test_limits_change_live(lab) -> None:
    """Raised minimum starts workers, lowered lets them idle out; a deploy puts it back."""
    ref = lab.deploy("add")
    lab.run(lab.adapter.scale(lab.io, ref, Scaling(min_workers=1, max_workers=7)))
    lab.clock.advance(100)
    status = lab.status(ref)
    assert (status.workers.idle, status.scaling["max_workers"]) == (1, 7)
    lab.run(lab.adapter.scale(lab.io, ref, Scaling()))
    assert lab.status(ref).workers.total == 0
    lab.run(lab.adapter.scale(lab.io, ref, Scaling(max_workers=9)))
    lab.deploy("add", env={"A": "2"})
    assert lab.status(ref).scaling["max_workers"] == 3


def test_a_lower_maximum_stops_idle_workers(lab) -> None:
    """At once, without waiting for the idle time."""
    ref = lab.deploy("add", scaling=Scaling(min_workers=3))
    lab.clock.advance(5)
    lab.run(lab.adapter.scale(lab.io, ref, Scaling(max_workers=1)))
    assert lab.status(ref).workers.total == 1


def test_warming_starts_one_worker(lab) -> None:
    """Without a call, and only if there is none."""
    ref = lab.deploy("add")
    lab.run(lab.adapter.warm(lab.io, ref))
    lab.run(lab.adapter.warm(lab.io, ref))
    assert lab.status(ref).workers.idle == 1
    assert lab.submit(ref, x=1).queued_s == 0.0


def test_a_class_is_set_up_once_for_each_worker(lab) -> None:
    """Its state lives as long as the worker."""
    ref = lab.deploy("Counter")
    assert [lab.result(ref), lab.result(ref)] == [1, 2]
    lab.clock.advance(100)
    assert lab.result(ref) == 1


def test_a_setup_that_fails_fails_the_rollout(lab) -> None:
    """Of an active deployment; the log has the traceback."""
    ref = lab.deploy("Broken", scaling=Scaling(min_workers=1))
    lab.clock.advance(2)
    status = lab.status(ref)
    assert status.rollout is Rollout.FAILED
    assert any("no weights" in line for line in status.log_tail)
    with pytest.raises(BadRequest, match="no version"):
        lab.submit(ref)


def test_time_stands_still_while_code_is_loaded(lab) -> None:
    """However long ``setup()`` takes, and however far the clock jumps meanwhile."""
    ref = lab.deploy("Slow", scaling=Scaling(min_workers=1, max_workers=2))
    lab.clock.advance(1000)
    assert lab.status(ref).workers.idle == 1
    assert lab.cloud.billed_seconds.total == 1000.0
    assert "worker-1 ready after 2 s" in lab.messages(ref)


def test_a_setup_that_fails_is_told_by_each_call(lab) -> None:
    """Of a deployment that scales to zero, which is routable without a worker."""
    ref = lab.deploy("Broken")
    state = lab.submit(ref)
    assert b"no weights" in (state.output or b"")


def test_a_new_version_replaces_the_workers(lab) -> None:
    """Idle ones stop at once; the next call is answered by the new version."""
    ref = lab.deploy("variable", env={"PLACE": "old"})
    assert lab.result(ref, name="PLACE") == "old"
    second = lab.deploy("variable", env={"PLACE": "new"})
    assert second.version == "2"
    assert lab.status(ref).workers.total == 0
    assert lab.result(second, name="PLACE") == "new"


def test_a_busy_worker_of_the_old_version_finishes(make_lab) -> None:
    """Its call ends well, then it stops."""
    lab = make_lab(mode="thread")
    lab.functions.GATES["v"] = threading.Event()
    ref = lab.deploy("gate")
    call = lab.spawn(ref, name="v")
    lab.clock.advance(2)
    lab.deploy("gate", env={"A": "1"})
    assert lab.status(ref).workers.running == 1
    lab.functions.GATES["v"].set()
    assert lab.poll(call, 60).phase is Phase.SUCCEEDED
    assert lab.status(ref).workers.total == 0


def test_an_active_rollout_keeps_the_old_version_until_ready(lab) -> None:
    """Calls go to the old version while the new one starts."""
    ref = lab.deploy("variable", env={"PLACE": "old"}, scaling=Scaling(min_workers=1))
    lab.clock.advance(5)
    lab.cloud.fail(Fault("cold_start", delay_s=90), on="start")
    second = lab.deploy("variable", env={"PLACE": "new"}, scaling=Scaling(min_workers=1))
    assert lab.status(second).rollout is Rollout.IN_PROGRESS
    assert lab.result(ref, name="PLACE") == "old"
    lab.clock.advance(90)
    assert lab.status(second).rollout is Rollout.READY
    assert lab.result(ref, name="PLACE") == "new"
    assert lab.status(ref).workers.total == 1


def test_a_build_takes_its_time(lab) -> None:
    """``build_s`` keeps a rollout in progress."""
    ref = lab.deploy("add", options={"mock": {"build_s": 40, "cold_start_s": 7}})
    assert lab.status(ref).rollout is Rollout.IN_PROGRESS
    lab.clock.advance(40)
    assert lab.status(ref).rollout is Rollout.READY
    assert lab.submit(ref, x=1).queued_s == 7.0


def test_rolling_back(lab) -> None:
    """An older version serves at once, with its own limits."""
    lab.deploy("variable", env={"PLACE": "one"}, scaling=Scaling(max_workers=5))
    ref = lab.deploy("variable", env={"PLACE": "two"})
    back = lab.run(lab.adapter.rollback(lab.io, ref, "1"))
    assert back.version == "1"
    assert lab.result(back, name="PLACE") == "one"
    assert lab.status(back).scaling["max_workers"] == 5
    versions = lab.run(lab.adapter.versions(lab.io, ref))
    assert [(each.id, each.current) for each in versions] == [("2", False), ("1", True)]
    assert lab.deploy("variable", env={"PLACE": "three"}).version == "3"
    with pytest.raises(NotFound, match="version '9'"):
        lab.run(lab.adapter.rollback(lab.io, ref, "9"))


def test_a_failed_build_leaves_the_old_version(lab) -> None:
    """It is listed as failed, cannot be rolled back to, and its log is kept."""
    ref = lab.deploy("add")
    lab.cloud.fail(Fault("crash", message="gcc: not found"), on="deploy")
    failed = lab.deploy("add", env={"A": "1"})
    status = lab.status(failed)
    assert status.rollout is Rollout.FAILED
    assert status.log_tail[-1] == "gcc: not found"
    assert lab.result(ref, x=1) == 2
    with pytest.raises(BadRequest, match="failed"):
        lab.run(lab.adapter.rollback(lab.io, ref, failed.version))


def test_a_worker_that_does_not_start_in_time(lab) -> None:
    """Its calls fail with the reason, and the next call tries again."""
    ref = lab.deploy("add", startup_timeout=20)
    lab.cloud.fail(Fault("cold_start", delay_s=90), on="start")
    state = lab.submit(ref, x=1)
    assert state.phase is Phase.FAILED
    assert "startup_timeout" in str(state.error)
    assert lab.clock.now() == 20.0
    assert lab.result(ref, x=1) == 2


def test_a_gpu_that_is_out_of_stock(lab) -> None:
    """No worker can start, so the call is refused; a fallback in stock helps."""
    ref = lab.deploy("add", gpu="H100")
    other = lab.deploy("add", name="other", gpu=["H100", "L4"])
    lab.cloud.out_of_stock.add("H100")
    with pytest.raises(NoCapacity, match="H100"):
        lab.submit(ref, x=1)
    assert lab.result(other, x=1) == 2
    assert "worker-1 starting (L4)" in lab.messages(other)
    lab.cloud.out_of_stock.clear()
    assert lab.result(ref, x=1) == 2


def test_deleting_stops_all(lab) -> None:
    """Workers and the bill end; nothing is left over."""
    ref = lab.deploy("add", scaling=Scaling(min_workers=2))
    lab.clock.advance(10)
    lab.run(lab.adapter.delete(lab.io, ref))
    total = lab.cloud.billed_seconds.total
    lab.clock.advance(100)
    assert lab.cloud.billed_seconds.total == total == 20.0
    assert lab.cloud.orphans() == []
    assert lab.run(lab.adapter.find(lab.io, ref.name)) is None
    with pytest.raises(NotFound):
        lab.submit(ref, x=1)
    with pytest.raises(NotFound):
        lab.run(lab.adapter.delete(lab.io, ref))
