"""Scripted faults: what a client sees, and what has happened."""

from __future__ import annotations

import httpx
import pytest

from gpuhub.testing.emulator import Fault
from gpuhub_beam.emulator import BeamEmulator


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ("unauthorized", 401, {"error": "Invalid token"}),
        ("rate_limit", 429, {"error": "exceeded max pending tasks: 0"}),
        ("capacity", 503, {"error": "No compute capacity for GPU type any."}),
        ("server_error", 500, {"error": "Internal server error"}),
        (Fault("server_error", status=502, message="bad"), 502, {"error": "bad"}),
    ],
)
def test_a_refused_call_has_no_effect(cluster, fault, status, body):
    """The next one goes through."""
    deployment = cluster.deploy("echo")
    cluster.emulator.fail(fault)
    answer = deployment.send(json={"value": 1})
    assert (answer.status_code, answer.json()) == (status, body)
    assert cluster.http.get(f"/api/v1/task/{cluster.workspace}").json()["data"] == []
    assert deployment.call(value=1) == 1


def test_a_wait_that_is_asked_for(cluster):
    """``Retry-After``, only with a delay."""
    deployment = cluster.deploy("echo")
    cluster.emulator.fail(Fault("rate_limit", delay_s=7))
    assert deployment.send(json={}).headers["retry-after"] == "7"
    cluster.emulator.fail("rate_limit")
    assert "retry-after" not in deployment.send(json={}).headers


@pytest.mark.parametrize(
    ("operation", "path"),
    [("status", "container/{ws}"), ("find", "deployment/{ws}"), ("queue", "task/{ws}")],
)
def test_faults_of_the_rest_api(cluster, operation, path):
    """By the operation's name, in its words."""
    cluster.emulator.fail("server_error", on=operation)
    answer = cluster.http.get(f"/api/v1/{path.format(ws=cluster.workspace)}")
    assert (answer.status_code, answer.json()) == (500, {"message": "Internal server error"})


def test_a_deploy_that_is_refused(cluster):
    """In gRPC's words."""
    stub = cluster.stub("echo")["stubId"]
    cluster.emulator.fail("unauthorized", on="deploy")
    document = {"stubId": stub, "name": "x"}
    answer = cluster.http.post("/api/v1/gateway/stubs/deploy", json=document)
    assert answer.status_code == 401
    assert answer.json() == {"code": 16, "message": "Invalid token", "details": []}
    assert cluster.http.get(f"/api/v1/deployment/{cluster.workspace}").json() == []


@pytest.mark.parametrize("code", [None, "halfway"])
def test_an_answer_that_is_lost(cluster, code):
    """The task has run."""
    deployment = cluster.deploy("echo")
    deployment.call(value=0)
    cluster.emulator.fail(Fault("lost_response", code=code))
    with pytest.raises(httpx.RemoteProtocolError):
        deployment.send(json={"value": "a longer text, cut in the middle"})
    assert [line for line in cluster.logs() if line.startswith("echo a longer")]


def test_an_answer_that_is_none(cluster):
    """A proxy's page."""
    deployment = cluster.deploy("echo")
    cluster.emulator.fail("malformed")
    assert deployment.send(json={}).text.startswith("<html>")


def test_a_container_that_dies_in_a_stream(cluster):
    """After its first part the connection breaks."""
    deployment = cluster.deploy("later")
    cluster.emulator.fail("crash", on="stream")
    headers = {"Accept": "text/event-stream"}
    received = []
    with (
        pytest.raises(httpx.RemoteProtocolError),
        cluster.http.stream(
            "POST", deployment.path, json={"number": 50_000}, headers=headers
        ) as it,
    ):
        received.extend(it.iter_text())
    assert received
    assert deployment.send(json={"number": 2}).status_code == 200


def test_a_request_that_hangs(cluster, clock):
    """502 at the task's limit, in the provider's time."""
    deployment = cluster.deploy("echo", taskPolicy={"timeout": 300})
    deployment.call(value=0)
    cluster.emulator.fail("timeout")
    before = clock.now()
    assert deployment.send(json={}).status_code == 502
    assert clock.now() - before == pytest.approx(300, abs=1)
    assert deployment.call(value=1) == 1


def test_a_task_that_hangs(cluster):
    """It has timed out; the container takes the next one."""
    deployment = cluster.deploy("echo", "taskqueue", taskPolicy={"timeout": 300})
    cluster.emulator.fail("timeout")
    assert cluster.ended(deployment.put(value=1))["status"] == "TIMEOUT"
    assert cluster.ended(deployment.put(value=2))["result"] == 2
    assert len(cluster.emulator.billed_seconds) == 1


def test_faults_by_chance_repeat(cluster):
    """The same seed gives the same sequence."""

    def statuses(emulator_cluster):
        deployment = emulator_cluster.deploy("echo")
        emulator_cluster.emulator.fail_randomly("server_error", probability=0.5, seed=4)
        return [deployment.send(json={}).status_code for _ in range(20)]

    first = statuses(cluster)
    with BeamEmulator() as other:
        again = type(cluster)(other)
        assert statuses(again) == first
        again.http.close()
    assert set(first) == {200, 500}
