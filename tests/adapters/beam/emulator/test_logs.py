"""Logs: what containers print, in one sequence."""

from __future__ import annotations

import json

import pytest

from gpuhub_beam.emulator.planes.records import _unwrapped


def test_lines_come_oldest_first(cluster):
    """With a number, a time, their container and app; page by page."""
    deployment = cluster.deploy("echo")
    for number in range(3):
        deployment.call(value=number)
    path = f"/api/v1/logs/{cluster.workspace}"
    found = cluster.http.get(path).json()["logs"]
    assert [line["message"] for line in found if line["stream"] == "stdout"] == [
        "echo 0",
        "echo 1",
        "echo 2",
    ]
    assert [line["seq_num"] for line in found] == list(range(1, len(found) + 1))
    assert [line["timestamp"] for line in found] == sorted(line["timestamp"] for line in found)
    assert {line["stub_id"] for line in found} == {deployment.stub}
    first = cluster.http.get(path, params={"limit": 2}).json()
    assert (len(first["logs"]), first["next_cursor"]) == (2, "1")
    rest = cluster.http.get(path, params={"limit": 2, "page": 1}).json()
    assert first["logs"] + rest["logs"] == found[:4]


def test_logs_are_filtered(cluster, clock):
    """By object, app, container and time."""
    one, other = cluster.deploy("echo"), cluster.deploy("echo", "taskqueue", appName="other")
    one.call(value="one")
    cluster.logs()
    clock.advance(100)
    cluster.ended(other.put(value="other"))
    apps = {each["stub_type"]: each["app_id"] for each in listed(cluster)}
    app = apps["taskqueue/deployment"]
    by_app = cluster.logs(object_type="BETA9_APP", object_id=app)
    assert "echo other" in by_app
    assert "echo one" not in by_app
    assert "echo one" in cluster.logs(object_type="BETA9_STUB", object_id=one.stub)
    (container,) = cluster.containers()  # the other one idled out
    assert "echo other" in cluster.logs(container_id=container["container_id"])
    since = "2026-01-01T00:01:30Z"
    assert "echo one" not in cluster.logs(start_time=since)
    assert "echo other" not in cluster.logs(end_time=since)


def listed(cluster):
    """List the deployments."""
    return cluster.http.get(f"/api/v1/deployment/{cluster.workspace}").json()


@pytest.mark.parametrize("query", [{"object_type": "NOTHING"}, {"start_time": "yesterday"}])
def test_a_query_that_is_refused(cluster, query):
    """400."""
    answer = cluster.http.get(f"/api/v1/logs/{cluster.workspace}", params=query)
    assert answer.status_code == 400


def test_logs_are_followed(cluster):
    """From a moment on: what is there, then what comes; from now on without one."""
    deployment = cluster.deploy("echo")
    deployment.call(value="before")
    path = f"/api/v1/logs/{cluster.workspace}/stream"
    with cluster.http.stream("GET", path, params={"start_time": "2025-01-01T00:00:00Z"}) as answer:
        lines = events(answer)
        assert any(line["message"] == "echo before" for line in (next(lines), next(lines)))
    with cluster.http.stream("GET", path) as answer:
        lines = events(answer)
        deployment.call(value="after")
        assert next(lines)["message"] == "echo after"


def events(answer):
    """Give the lines of events; the first thing sent is a comment."""
    raw = answer.iter_lines()
    assert next(raw) == ": connected"
    for line in raw:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_the_runners_documents_are_unwrapped():
    """Several in a line, and other text around them."""
    one = json.dumps({"message": "a\n", "task_id": "t", "beta9_log": True, "stream": "stdout"})
    two = json.dumps({"message": "b\n", "beta9_log": True, "stream": "stderr"})
    assert _unwrapped(f"2026 INFO x{one}{two}tail") == [
        {"message": "2026 INFO x"},
        {"message": "a", "task_id": "t", "stream": "stdout"},
        {"message": "b", "stream": "stderr"},
        {"message": "tail"},
    ]
    assert _unwrapped("plain {text}") == [{"message": "plain {text}"}]
