"""The bundle in beta9's own runners: a part of the contract suite, and what needs more.

The processes run in real time with the ``beta9`` package of an environment of its own, and talk
gRPC to the emulator.
"""

from __future__ import annotations

import base64
import pickle

import pytest

import gpuhub_beam
from gpuhub.testing.contract.fixtures import Fixtures
from gpuhub.testing.contract.invocations import Invocations
from gpuhub.testing.contract.spawns import Spawns
from gpuhub.testing.contract.streams import Streams
from gpuhub.testing.contract.subject import Subject
from gpuhub_beam.emulator import BeamEmulator, Beta9Missing, EmulatorOptions, beta9_python
from tests.adapters.blocking_only import BlockingOnly
from tests.adapters.needed import present
from tests.adapters.waiting import until

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(180)]

REAL = EmulatorOptions(workers="beta9")


@pytest.fixture(scope="module", autouse=True)
def _python():
    """Real runners need their environment; in CI it must be there."""
    present(beta9_python, Beta9Missing)


@pytest.fixture
def options():
    """Real runners, for the tests with deployments of a few lines."""
    return REAL


class TestContract(BlockingOnly, Invocations, Spawns, Streams, Fixtures):
    """What calls and streams promise, in the blocking mode: the runner does not see the others."""

    adapter = Subject(gpuhub_beam, lambda: BeamEmulator(REAL))


@pytest.mark.parametrize("value", [0, "", [], False, None, {"a": [1]}])
def test_an_endpoint_answers_with_the_result(cluster, value):
    """As the quick runner does."""
    answer = cluster.deploy("echo").send(json={"kwargs": {"value": value}})
    assert answer.json() == value
    until(lambda: cluster.task(answer.headers["x-task-id"])["status"] == "COMPLETE")


def test_an_endpoint_that_raises(cluster):
    """The traceback is beta9's own: it is the real runner."""
    answer = cluster.deploy("fail").send(json={"message": "no luck"})
    assert answer.status_code == 500
    text = answer.json()["error"]
    assert "beta9/runner/endpoint.py" in text
    assert text.rstrip().endswith("ValueError: no luck")
    until(lambda: cluster.task(answer.headers["x-task-id"])["status"] == "ERROR")


@pytest.mark.parametrize(("handler", "key"), [("count", "number"), ("later", "data")])
def test_an_endpoint_streams(cluster, handler, key):
    """In the same lines."""
    answer = cluster.deploy(handler).send(json={"number": 3})
    lines = [line for line in answer.text.splitlines() if line]
    assert lines == [f'data: {{"{key}": {number}}}' for number in range(3)]


def test_an_asgi_application(cluster):
    """Gets the raw request."""
    answer = cluster.deploy("app", "asgi").send("PUT", "/a/b?x=1", content=b"raw")
    assert answer.json() == {"path": "/a/b", "query": {"x": "1"}, "body": "raw", "method": "PUT"}


def test_the_context_and_on_start(cluster):
    """Beta9's own."""
    answer = cluster.deploy("told", onStart="handlers:start").send(json={"value": 1})
    assert answer.json() == {
        "task": answer.headers["x-task-id"],
        "kind": "endpoint/deployment",
        "start": "started",
    }


@pytest.mark.parametrize(("value", "kept"), [({"a": 1}, {"a": 1}), (0, None), ([], None)])
def test_a_queue_keeps_results_that_are_true(cluster, value, kept):
    """And drops the others."""
    task = cluster.ended(cluster.deploy("echo", "taskqueue").put(value=value))
    assert (task["status"], task["result"]) == ("COMPLETE", kept)


@pytest.mark.parametrize(("handler", "runs"), [("again", 3), ("sub", 1)])
def test_a_queue_retries_the_very_class(cluster, tmp_path, handler, runs):
    """A duck-typed wrapper is enough for it."""
    log = tmp_path / "log"
    policy = {"timeout": 60, "maxRetries": 2}
    deployment = cluster.deploy(handler, "taskqueue", taskPolicy=policy)
    assert cluster.ended(deployment.put(log=str(log)))["status"] == "ERROR"
    assert log.read_text().count("run") == runs


def test_a_queue_without_the_wrapper(cluster):
    """An exception kills the worker, and its container."""
    deployment = cluster.deploy("plain", "taskqueue")
    assert cluster.ended(deployment.put(value=1))["result"] == 1
    deployment.put(nothing=1)
    until(lambda: any("has no attribute 'parent'" in line for line in cluster.logs()))
    until(lambda: len(cluster.emulator.billed_seconds) >= 1 and not deployment.instance.containers)


def test_a_queued_task_is_cancelled_while_it_runs(cluster, tmp_path):
    """Its process ends, through its monitor; the next task is taken."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    deployment = cluster.deploy("wait", "taskqueue")
    task = deployment.put(gate=str(gate), log=str(log))
    cluster.emulator.clock.advance(3)
    until(log.exists)
    cluster.ask("tasks/stop", taskIds=[task])
    assert cluster.task(task)["status"] == "CANCELLED"
    until(lambda: any("Task cancelled" in line for line in cluster.logs()))
    gate.touch()
    assert cluster.ended(deployment.put(gate=str(gate), log=str(log)))["result"] == "opened"
    assert log.read_text().split() == ["began", "began", "ended"]


def test_a_queued_task_that_runs_too_long(cluster, tmp_path):
    """Its monitor ends it."""
    deployment = cluster.deploy("wait", "taskqueue", taskPolicy={"timeout": 1})
    task = cluster.ended(deployment.put(gate=str(tmp_path / "g"), log=str(tmp_path / "log")))
    assert task["status"] == "TIMEOUT"
    until(lambda: any("Task timed out" in line for line in cluster.logs()))


def test_a_function(cluster):
    """One container for each task; its result is a pickle."""
    deployment = cluster.deploy("echo", "function")
    task = cluster.ended(deployment.put(value={"n": 1}))
    result = pickle.loads(base64.b64decode(task["result"]["base64"]))  # noqa: S301 - ours
    assert result == {"n": 1}
    until(lambda: not deployment.instance.containers)


def test_a_function_that_raises(cluster):
    """Its result says what."""
    task = cluster.ended(cluster.deploy("fail", "function").put(message="no luck"))
    assert (task["status"], task["result"]) == ("ERROR", {"error": "no luck"})


def test_a_callback_is_signed_by_the_gateway(cluster, receiver):
    """The runner asks for the signature and posts it."""
    task = cluster.deploy("echo", "taskqueue", callbackUrl=receiver.url).put(value={"a": 1})
    cluster.ended(task)
    until(lambda: receiver.got)
    headers, body = receiver.got[0]
    assert (body, headers["X-Task-Status"]) == (b'{"data": {"a": 1}}', "COMPLETE")
    assert len(headers["X-Task-Signature"]) == 64


def test_scale_to_zero_and_back(cluster, clock):
    """A cold start, a warm call, an idle container that stops, and another cold start."""
    deployment = cluster.deploy("echo", keepWarmSeconds=60)
    assert [deployment.call(value=number) for number in (1, 2)] == [1, 2]
    until(lambda: not deployment.instance.tasks)
    clock.advance(61)
    assert cluster.containers() == []
    assert deployment.call(value=3) == 3
    assert len(cluster.emulator.billed_seconds) == 2


def test_what_it_prints_is_in_the_log(cluster):
    """Unwrapped from beta9's documents: it makes one of every write, so a line may be several."""
    deployment = cluster.deploy("echo")
    answer = deployment.send(json={"value": "hello"})
    until(lambda: "hello" in cluster.logs())
    found = cluster.http.get(f"/api/v1/logs/{cluster.workspace}").json()["logs"]
    said = [each for each in found if each.get("task_id") == answer.headers["x-task-id"]]
    messages = [each["message"] for each in said]
    at = messages.index("echo")
    assert messages[at : at + 3] == ["echo", " ", "hello"]
