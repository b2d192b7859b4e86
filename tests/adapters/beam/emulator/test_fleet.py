"""Containers: from zero to the limit and back, and what they cost."""

from __future__ import annotations

import pytest

from gpuhub.testing.emulator import Fault
from gpuhub.testing.emulator.clocks import ScaledClock
from gpuhub_beam.emulator import BeamEmulator, EmulatorOptions
from tests.adapters.beam.emulator.conftest import Cluster, scaler
from tests.adapters.waiting import until


@pytest.mark.parametrize("options", [EmulatorOptions(cold_start_s=45)])  # a real one is shorter
def test_an_idle_container_stops_after_its_keep_warm_seconds(cluster, clock):
    """And is billed from its order to its stop."""
    deployment = cluster.deploy("echo", keepWarmSeconds=100)
    deployment.call(value=1)
    clock.advance(99)
    assert cluster.states() == ["RUNNING"]
    clock.advance(2)
    assert cluster.states() == []
    assert cluster.emulator.billed_seconds.total == pytest.approx(145, abs=0.1)
    clock.advance(3600)
    assert cluster.emulator.billed_seconds.total == pytest.approx(145, abs=0.1)
    assert deployment.call(value=2) == 2


@pytest.mark.parametrize("options", [EmulatorOptions(cold_start_s=45)])  # a real one is shorter
@pytest.mark.parametrize(("asked", "kept"), [(0, 0), (3, 10), (-1, 0), (10, 10)])
def test_keep_warm_seconds_are_adjusted(cluster, clock, asked, kept):
    """Between 0 and 10 they become 10; only pods know forever."""
    deployment = cluster.deploy("echo", keepWarmSeconds=asked)
    deployment.call(value=1)
    clock.advance(kept + 0.5)
    assert cluster.states() == []
    assert cluster.emulator.billed_seconds.total == pytest.approx(45 + kept, abs=0.1)


def test_min_containers_start_at_the_deploy(cluster, clock):
    """And stay; more come only for more tasks."""
    cluster.deploy("echo", autoscaler=scaler(most=3, least=2))
    assert cluster.states() == ["PENDING", "PENDING"]
    clock.advance(5)
    assert cluster.states() == ["RUNNING", "RUNNING"]
    clock.advance(3600)
    assert cluster.states() == ["RUNNING", "RUNNING"]


def test_a_minimum_above_the_maximum_is_not_refused(cluster, clock):
    """The gateway looks for that with pods only."""
    cluster.deploy("echo", autoscaler=scaler(most=1, least=2))
    clock.advance(5)
    assert len(cluster.states()) == 2


def test_more_than_the_gateways_replicas_are_not_started(cluster, clock):
    """Whatever the autoscaler says."""
    deployment = cluster.deploy("echo", "taskqueue", autoscaler=scaler(most=50))
    cluster.emulator.fail("cold_start", on="start", times=50)
    for number in range(15):
        deployment.put(value=number)
    assert len(cluster.states()) == 10


def test_old_versions_stay_active_and_billed(cluster, clock):
    """A redeploy stops nothing: that is the client's to do."""
    old = cluster.deploy("echo", autoscaler=scaler(least=1))
    new = cluster.deploy("echo", autoscaler=scaler(least=1))
    assert (old.version, new.version) == (1, 2)
    clock.advance(10)
    assert len(cluster.states()) == 2
    assert cluster.emulator.orphans() == ["endpoint/echo/v1"]
    old.change("stop")
    assert len(cluster.states()) == 1
    assert cluster.emulator.orphans() == []
    assert new.call(value=1) == 1


def test_a_stopped_version_can_be_started_again(cluster, clock):
    """With its containers."""
    deployment = cluster.deploy("echo", autoscaler=scaler(least=1))
    deployment.change("stop")
    assert cluster.states() == []
    deployment.change("start")
    clock.advance(5)
    assert cluster.states() == ["RUNNING"]


def test_a_deleted_version_is_gone(cluster):
    """Its number is not given again."""
    deployment = cluster.deploy("echo", autoscaler=scaler(least=1))
    assert deployment.change("delete") == {"ok": True}
    assert deployment.change("delete") == {"ok": False, "errMsg": "Deployment not found"}
    assert cluster.containers() == []
    assert cluster.emulator.orphans() == []
    assert cluster.http.get(f"/api/v1/deployment/{cluster.workspace}").json() == []
    assert cluster.deploy("echo").version == 2


def test_a_changed_configuration_takes_effect_at_the_next_start(cluster, clock):
    """``PATCH`` alone changes nothing that runs."""
    deployment = cluster.deploy("echo")
    changed = deployment.configure(**{"autoscaler.min_containers": 1})
    assert changed.json()["updated_fields"] == ["autoscaler.min_containers"]
    assert cluster.states() == []
    deployment.change("start")
    clock.advance(5)
    assert cluster.states() == ["RUNNING"]
    deployment.configure(**{"autoscaler.min_containers": 0})
    deployment.change("start")
    clock.advance(100)
    assert cluster.states() == []


def test_what_concerns_requests_waits_for_a_start_from_nothing(cluster, clock):
    """The gateway's buffer of requests keeps the configuration it was made with."""
    deployment = cluster.deploy("echo", keepWarmSeconds=100)
    deployment.call(value=1)
    deployment.configure(keep_warm_seconds=10)
    deployment.change("start")
    clock.advance(50)
    assert cluster.states() == ["RUNNING"]
    clock.advance(60)
    assert cluster.states() == []
    deployment.call(value=1)
    clock.advance(11)
    assert cluster.states() == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "At least one field"),
        ({"no.such": 1}, "field 'no.such' not found"),
        ({"authorized": "x"}, "convert"),
        ({"workers": True}, "convert"),
    ],
)
def test_a_configuration_that_is_refused(cluster, fields, words):
    """With the field's name."""
    answer = cluster.deploy("echo").configure(**fields)
    assert answer.status_code == 400
    assert words in answer.json()["message"]


def test_only_pods_are_scaled_directly(cluster):
    """Others say so."""
    deployment = cluster.deploy("echo")
    answer = cluster.ask(f"deployments/{deployment.id}/scale", containers=2)
    words = "This type of deployment cannot be scaled directly."
    assert answer == {"ok": False, "errMsg": words}


def test_a_container_that_is_stopped_by_hand(cluster, clock):
    """Another takes its place when there must be one."""
    cluster.deploy("echo", autoscaler=scaler(least=1))
    clock.advance(5)
    (before,) = cluster.containers()
    path = f"/api/v1/container/{cluster.workspace}"
    stopped = cluster.http.post(f"{path}/{before['container_id']}/stop")
    assert stopped.status_code == 200
    (after,) = cluster.containers()
    assert after["container_id"] != before["container_id"]
    assert cluster.http.post(f"{path}/nothing/stop").status_code == 400


def test_a_container_that_dies_while_idle(cluster, clock):
    """Is replaced as long as it is needed."""
    cluster.deploy("echo", autoscaler=scaler(least=1))
    clock.advance(5)
    (container,) = cluster.containers()
    cluster.emulator.kill_container(container["container_id"])
    clock.advance(5)
    assert cluster.states() == ["RUNNING"]
    with pytest.raises(KeyError):
        cluster.emulator.kill_container("nothing")


def test_a_long_cold_start(cluster, clock):
    """A request waits for it."""
    cluster.emulator.fail(Fault("cold_start", delay_s=240), on="start")
    before = clock.now()
    assert cluster.deploy("echo").call(value=1) == 1
    assert clock.now() - before == pytest.approx(240, abs=1)


def test_a_machine_that_comes_free(cluster, clock):
    """A container without a place waits, unbilled."""
    cluster.emulator.fail(Fault("capacity", delay_s=100), on="start")
    before = clock.now()
    assert cluster.deploy("echo").call(value=1) == 1
    assert clock.now() - before >= 100
    assert cluster.emulator.billed_seconds.total < 20


def test_a_crash_at_the_start(cluster):
    """Another container is started."""
    cluster.emulator.fail("crash", on="start")
    assert cluster.deploy("echo").call(value=1) == 1
    assert len(cluster.emulator.billed_seconds) == 2


def test_in_real_time():
    """On a clock that runs by itself, here ten times as fast."""
    options = EmulatorOptions(cold_start_s=0.5)
    with BeamEmulator(options, ScaledClock(10)) as emulator:
        cluster = Cluster(emulator)
        deployment = cluster.deploy("echo", keepWarmSeconds=10)
        assert deployment.call(value=1) == 1
        emulator.clock.advance(11)
        until(lambda: cluster.states() == [])
        cluster.http.close()


def test_an_emulator_leaves_nothing_behind():
    """No process and no file; it can be stopped twice."""
    emulator = BeamEmulator()
    cluster = Cluster(emulator)
    cluster.deploy("echo", autoscaler=scaler(least=1))
    cluster.deploy("echo", "taskqueue", autoscaler=scaler(least=1), workers=3)
    emulator.clock.advance(5)
    until(lambda: cluster.states() == ["RUNNING", "RUNNING"])
    folder = emulator._folder
    assert folder.exists()
    emulator.stop()
    emulator.stop()
    cluster.http.close()
    assert not folder.exists()
    assert emulator.orphans() == []
