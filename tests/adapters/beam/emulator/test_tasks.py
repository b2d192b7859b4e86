"""Queued tasks and functions: from their submit to the end of their results."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import pickle

import pytest

from gpuhub_beam.emulator import EmulatorOptions
from tests.adapters.beam.emulator.conftest import scaler
from tests.adapters.waiting import until


def queue(cluster, handler, **fields):
    """Deploy a queue."""
    return cluster.deploy(handler, "taskqueue", **fields)


def test_a_task_goes_through_its_states(cluster):
    """And its result is kept."""
    task = cluster.ended(queue(cluster, "echo").put(value={"a": 1}))
    assert task["states"] == ["PENDING", "RUNNING", "COMPLETE"]
    assert task["result"] == {"a": 1}
    assert task["deployment"]["name"] == "echo"
    assert task["created_at"] <= task["started_at"] <= task["ended_at"]


@pytest.mark.parametrize("value", [0, "", [], {}, False, None])
def test_a_falsy_result_is_lost(cluster, value):
    """Beta9's runner drops it; ``null`` is what is kept."""
    task = cluster.ended(queue(cluster, "echo").put(value=value))
    assert (task["status"], task["result"]) == ("COMPLETE", None)


@pytest.mark.parametrize(
    ("handler", "runs", "last"), [("again", 3, "ERROR"), ("sub", 1, "ERROR"), ("wait", 0, "ERROR")]
)
def test_what_is_retried(cluster, tmp_path, handler, runs, last):
    """Only the very classes of ``retry_for``, at most ``maxRetries`` times more."""
    log = tmp_path / "log"
    deployment = queue(cluster, handler, taskPolicy={"timeout": 60, "maxRetries": 2})
    task = cluster.ended(deployment.put(log=str(log)))
    assert task["status"] == last
    assert (log.read_text().count("run") if log.exists() else 0) == runs
    assert task["states"].count("RETRY") == max(0, runs - 1)


def test_retries_are_cut_to_five(cluster, tmp_path):
    """Whatever is asked for."""
    log = tmp_path / "log"
    deployment = queue(cluster, "again", taskPolicy={"timeout": 60, "maxRetries": 50})
    cluster.ended(deployment.put(log=str(log)))
    assert log.read_text().count("run") == 6


def test_a_handler_without_beta9s_wrapper_kills_its_worker(cluster, clock):
    """On an exception: the runner looks for ``handler.parent.retry_for``."""
    deployment = queue(cluster, "plain")
    assert cluster.ended(deployment.put(value=1))["result"] == 1
    task = deployment.put(nothing=1)
    until(lambda: any("'function' object has no attribute 'parent'" in x for x in cluster.logs()))
    until(lambda: "heartbeat" in deployment.instance.tasks[task].timers)  # its container is gone
    assert cluster.task(task)["status"] == "RUNNING"
    clock.advance(70)
    assert cluster.task(task)["status"] == "ERROR"


def test_a_waiting_task_is_cancelled(cluster, clock):
    """It never runs."""
    cluster.emulator.fail("capacity", on="start")
    deployment = queue(cluster, "echo")
    task = deployment.put(value=1)
    path = f"/api/v1/task/{cluster.workspace}"
    assert cluster.http.delete(path, params={"task_ids": f"{task},unknown"}).json() == {}
    assert cluster.task(task)["status"] == "CANCELLED"
    assert deployment.instance.queue == type(deployment.instance.queue)()


def test_a_running_task_is_cancelled(cluster, tmp_path):
    """Its process ends, another takes the next task; the container stays."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    deployment = queue(cluster, "wait")
    task = deployment.put(gate=str(gate), log=str(log))
    cluster.emulator.clock.advance(3)
    until(lambda: log.exists() and log.read_text())
    assert cluster.ask("tasks/stop", taskIds=[task]) == {"ok": True}
    assert cluster.task(task)["status"] == "CANCELLED"
    gate.touch()
    assert cluster.ended(deployment.put(gate=str(gate), log=str(log)))["result"] == "opened"
    assert log.read_text().split() == ["began", "began", "ended"]
    assert len(cluster.emulator.billed_seconds) == 1


def test_a_task_that_has_ended_is_not_cancelled(cluster):
    """It stays what it is."""
    task = cluster.ended(queue(cluster, "echo").put(value=1))["id"]
    cluster.http.delete(f"/api/v1/task/{cluster.workspace}", params={"task_ids": task})
    assert cluster.task(task)["status"] == "COMPLETE"


def test_a_task_that_runs_too_long(cluster, tmp_path):
    """It has timed out; its process is replaced."""
    log = tmp_path / "log"
    for limit in (1, 5, 20):  # a busy machine may begin nothing in the shortest
        deployment = queue(cluster, "wait", taskPolicy={"timeout": limit})
        task = cluster.ended(deployment.put(gate=str(tmp_path / "gate"), log=str(log)))
        assert task["states"][-1] == "TIMEOUT"
        if log.exists():
            break
    assert log.read_text().split() == ["began"]


def test_a_task_that_nobody_takes_expires(cluster, clock):
    """After its time to live, two hours unless asked for less."""
    cluster.emulator.fail("capacity", on="start", times=2)
    short = queue(cluster, "echo", taskPolicy={"timeout": 60, "ttl": 100}).put(value=1)
    long = queue(cluster, "plain").put(value=1)
    clock.advance(101)
    assert [cluster.task(each)["status"] for each in (short, long)] == ["EXPIRED", "PENDING"]
    clock.advance(7_200)
    assert cluster.task(long)["status"] == "EXPIRED"


def test_a_lost_task_is_queued_again(cluster, clock, tmp_path):
    """When its container died under it and it may be retried."""
    deployment = queue(cluster, "echo", taskPolicy={"timeout": 600, "maxRetries": 1})
    cluster.emulator.fail("crash")
    task = deployment.put(value="x")
    clock.advance(5)
    until(lambda: cluster.task(task)["status"] == "RUNNING")
    clock.advance(66)
    assert cluster.ended(task)["result"] == "x"


def test_too_many_tasks(cluster):
    """429 when as many wait or run as may."""
    cluster.emulator.fail("capacity", on="start")
    deployment = queue(cluster, "echo", maxPendingTasks=2)
    deployment.put(value=1)
    deployment.put(value=2)
    answer = deployment.send(json={"value": 3})
    assert (answer.status_code, answer.json()) == (429, {"error": "exceeded max pending tasks: 2"})


def test_workers_share_a_container(cluster, tmp_path):
    """Each a process of its own."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    deployment = queue(cluster, "wait", workers=3)
    tasks = [deployment.put(gate=str(gate), log=str(log)) for _ in range(4)]
    cluster.emulator.clock.advance(3)
    until(lambda: log.exists() and log.read_text().count("began") == 3)
    assert len(cluster.containers()) == 1
    gate.touch()
    assert [cluster.ended(task)["status"] for task in tasks] == ["COMPLETE"] * 4


def test_tasks_are_listed_newest_first(cluster):
    """With filters, and how many are in flight."""
    deployment = queue(cluster, "echo")
    tasks = [deployment.put(value=number) for number in (1, 2, 3)]
    for task in tasks:
        cluster.ended(task)

    def listed(**query):
        answer = cluster.http.get(f"/api/v1/task/{cluster.workspace}", params=query).json()
        return [each["id"] for each in answer["data"]]

    assert listed() == tasks[::-1]
    assert listed(limit=1, stub_ids=deployment.stub) == tasks[-1:]
    assert listed(status="ERROR") == []
    assert listed(stub_ids="other") == []


def test_an_unknown_task(cluster):
    """404 to a question, also to a subscription."""
    path = f"/api/v1/task/{cluster.workspace}/no-such-task"
    assert cluster.http.get(path).status_code == 404
    assert cluster.http.get(f"{path}/subscribe").status_code == 404


def test_a_stopped_queue_keeps_its_tasks(cluster, clock):
    """They wait until somebody starts it again, or they expire."""
    deployment = queue(cluster, "echo")
    cluster.emulator.fail("capacity", on="start")
    task = deployment.put(value=1)
    deployment.change("stop")
    clock.advance(60)
    assert cluster.task(task)["status"] == "PENDING"
    deployment.change("start")
    assert cluster.ended(task)["result"] == 1


def test_a_function_has_a_container_for_each_task(cluster):
    """Its result is a pickle, in base64."""
    deployment = cluster.deploy("echo", "function", autoscaler=scaler())
    tasks = [cluster.ended(deployment.put(value={"n": number})) for number in (1, 2)]
    results = [base64.b64decode(task["result"]["base64"]) for task in tasks]
    assert [pickle.loads(each) for each in results] == [{"n": 1}, {"n": 2}]  # noqa: S301 - ours
    assert len({task["container_id"] for task in tasks}) == 2
    assert cluster.containers() == []


def test_a_function_that_raises(cluster):
    """Its result says what."""
    task = cluster.ended(cluster.deploy("fail", "function").put(message="no luck"))
    assert (task["status"], task["result"]) == ("ERROR", {"error": "no luck"})


def test_a_callback_is_signed(cluster, receiver):
    """With the workspace's key, over the body in base64 and a timestamp."""
    task = queue(cluster, "echo", callbackUrl=receiver.url).put(value={"a": 1})
    cluster.ended(task)
    until(lambda: receiver.got)
    headers, body = receiver.got[0]
    assert json.loads(body) == {"data": {"a": 1}}
    assert (headers["X-Task-Id"], headers["X-Task-Status"]) == (task, "COMPLETE")
    text = f"{base64.b64encode(body).decode()}:{headers['X-Task-Timestamp']}"
    path = f"/api/v1/token/{cluster.workspace}/signing-key"
    key = cluster.http.get(path).json()["signing_key"]
    expected = hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
    assert headers["X-Task-Signature"] == expected


def test_a_call_has_a_callback_of_its_own(cluster, receiver):
    """In its arguments; it is repeated when it is not answered well."""
    receiver.refusals = 1
    deployment = queue(cluster, "everything")
    cluster.ended(deployment.put(a=1, callback_url=receiver.url))
    until(lambda: len(receiver.got) == 2)
    assert json.loads(receiver.got[0][1])["data"]["kwargs"]["a"] == 1


def test_an_endpoint_calls_back_too(cluster, receiver):
    """With its answer."""
    cluster.deploy("echo", callbackUrl=receiver.url).call(value=[1])
    until(lambda: receiver.got)
    assert json.loads(receiver.got[0][1]) == {"data": [1]}


@pytest.mark.parametrize("options", [EmulatorOptions(cold_start_s=60)])
def test_waiting_for_a_task_moves_time_where_only_time_is_missing(cluster, clock):
    """A subscription, as a request does."""
    task = cluster.ended(queue(cluster, "echo").put(value=1))
    assert task["status"] == "COMPLETE"
    assert clock.now() >= 60
