"""Schedules: made over gRPC, here asked for as its messages, and run by the provider's clock."""

from __future__ import annotations

import pytest


def schedule(cluster, deployment, when):
    """Ask for a schedule, as the gRPC face passes it on."""
    asked = {"stubId": deployment.stub, "when": when, "deploymentId": deployment.id}
    path = "/emulated-rpc/function.FunctionService/FunctionSchedule"
    return cluster.http.post(path, json={"request": asked}).json()


def runs(cluster, deployment):
    """Give the tasks of a deployment, oldest first."""
    query = {"stub_ids": deployment.stub, "limit": 100}
    found = cluster.http.get(f"/api/v1/task/{cluster.workspace}", params=query).json()["data"]
    return found[::-1]


def test_a_schedule_runs_its_function(cluster, clock):
    """In UTC, at its times and not before; the virtual year begins at midnight."""
    deployment = cluster.deploy("echo", "schedule")
    assert schedule(cluster, deployment, "30 * * * *")["ok"]
    clock.advance(1_799)
    assert runs(cluster, deployment) == []
    clock.advance(3_602)
    found = runs(cluster, deployment)
    assert [each["created_at"][11:19] for each in found] == ["00:30:00", "01:30:00"]
    assert [cluster.ended(each["id"])["status"] for each in found] == ["COMPLETE", "COMPLETE"]


@pytest.mark.parametrize("verb", ["stop", "delete"])
def test_a_stopped_deployment_is_not_run(cluster, clock, verb):
    """Starting it again does not bring its schedule back."""
    deployment = cluster.deploy("echo", "schedule")
    schedule(cluster, deployment, "@hourly")
    deployment.change(verb)
    clock.advance(7_200)
    deployment.change("start")
    clock.advance(7_200)
    assert runs(cluster, deployment) == []


def test_a_schedule_that_is_refused(cluster):
    """With the reason."""
    deployment = cluster.deploy("echo", "schedule")
    assert "five fields" in schedule(cluster, deployment, "often")["errMsg"]
    deployment.id = "nothing"
    assert not schedule(cluster, deployment, "@hourly")["ok"]


def test_a_scheduled_function_can_be_called(cluster):
    """As any function, by its URL."""
    deployment = cluster.deploy("echo", "schedule")
    assert cluster.ended(deployment.put(value=[1]))["status"] == "COMPLETE"
