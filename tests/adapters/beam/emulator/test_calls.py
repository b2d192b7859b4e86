"""Requests that a container answers: what the gateway and beta9's runner make of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_beam.emulator import BeamEmulator, EmulatorOptions
from tests.adapters.beam.emulator.conftest import Background, Cluster, archive, scaler
from tests.adapters.waiting import until


@pytest.mark.parametrize("value", [0, "", [], False, None, {}, 0.5, "text", [1, {"a": None}]])
def test_a_result_is_the_body(cluster, value):
    """Of an endpoint: also what counts as false."""
    answer = cluster.deploy("echo").send(json={"kwargs": {"value": value}})
    assert answer.status_code == 200
    assert answer.json() == value
    assert cluster.task(answer.headers["x-task-id"])["status"] == "COMPLETE"


def test_how_a_body_becomes_arguments(cluster):
    """``args`` and ``kwargs`` are unpacked, other keys are names; a query adds to them."""
    deployment = cluster.deploy("everything")

    def given(body, query=""):
        return deployment.send(path=query, content=body).json()

    assert given(b'{"args": [1, "x"], "kwargs": {"k": 2}}') == {
        "args": [1, "x"],
        "kwargs": {"k": 2},
    }
    assert given(b'{"k": 2, "args": 3}') == {"args": [], "kwargs": {"k": 2, "args": 3}}
    assert given(b"") == {"args": [], "kwargs": {}}
    assert given(b"{}", "?a=1&b=x&c=1&c=2&d=1&d=y")["kwargs"] == {
        "a": 1,
        "b": "x",
        "c": [1, 2],
        "d": ["1", "y"],
    }


def test_numbers_go_through_go(cluster):
    """A whole float becomes an integer on the way, a large integer a float."""
    deployment = cluster.deploy("everything")
    arrived = deployment.call(a=1.0, b=2**60 + 1, c=0.1)["kwargs"]
    assert arrived == {"a": 1, "b": float(2**60), "c": 0.1}
    assert isinstance(arrived["a"], int)


@pytest.mark.parametrize("body", [b"no json", b"[1]", b'"x"', b"{"])
def test_a_body_that_is_no_object(cluster, body):
    """Refused by the gateway, before any container."""
    answer = cluster.deploy("echo").send(content=body)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid request payload"})
    assert cluster.containers() == []


def test_an_exception_is_a_500_with_its_traceback(cluster):
    """The worker goes on."""
    deployment = cluster.deploy("fail")
    answer = deployment.send(json={"message": "out of luck"})
    assert answer.status_code == 500
    assert answer.json()["error"].rstrip().endswith("ValueError: out of luck")
    assert cluster.task(answer.headers["x-task-id"])["status"] == "ERROR"
    assert deployment.send(json={}).status_code == 500
    assert len(cluster.emulator.billed_seconds) == 1


def test_the_context_and_on_start(cluster):
    """A handler that takes a ``context`` gets one; ``on_start`` runs once for each process."""
    deployment = cluster.deploy("told", onStart="handlers:start")
    answer = deployment.send(json={"value": 1})
    assert answer.json() == {
        "task": answer.headers["x-task-id"],
        "kind": "endpoint/deployment",
        "start": "started",
    }


def test_a_plain_function_is_a_handler(cluster):
    """Of an endpoint: only queues need beta9's wrapper."""
    assert cluster.deploy("plain").call(value=3) == 3


def test_variables_and_secrets(cluster):
    """Both are in the environment, beside the gateway's own."""
    cluster.emulator.secrets["TOKEN"] = "s3cret"
    deployment = cluster.deploy("variable", env=["A=b=c"], secrets=[{"name": "TOKEN"}])
    assert deployment.call(name="A") == "b=c"
    assert deployment.call(name="TOKEN") == "s3cret"
    assert deployment.call(name="STUB_ID") == deployment.stub
    assert deployment.call(name="TIMEOUT") == "180"


@pytest.mark.parametrize(("handler", "key"), [("count", "number"), ("later", "data")])
def test_a_generator_streams(cluster, handler, key):
    """Dictionaries as they are, other values as ``data``; text, not event-stream."""
    answer = cluster.deploy(handler).send(json={"number": 3})
    assert answer.headers["content-type"].startswith("text/plain")
    lines = [line for line in answer.text.splitlines() if line]
    assert lines == [f'data: {{"{key}": {number}}}' for number in range(3)]


def test_a_client_that_leaves_a_stream(cluster, tmp_path):
    """The container's connection is closed, its generator stopped, and it takes the next call."""
    deployment = cluster.deploy("count")
    body = {"number": 10_000_000, "log": str(tmp_path / "log")}
    with cluster.http.stream("POST", deployment.path, json=body) as answer:
        next(answer.iter_lines())
    until(lambda: deployment.instance.tasks == {})
    log = tmp_path / "log"
    assert not log.exists() or len(log.read_text().splitlines()) < 10_000_000
    assert deployment.send(json={"number": 1}).status_code == 200


def test_an_asgi_application_gets_the_raw_request(cluster):
    """With its path below the deployment's, its query and any method."""
    deployment = cluster.deploy("app", "asgi")
    answer = deployment.send("PUT", "/a/b?x=1", content=b"raw")
    assert answer.json() == {"path": "/a/b", "query": {"x": "1"}, "body": "raw", "method": "PUT"}
    assert deployment.send("GET").json()["path"] == "/"


def test_an_endpoint_takes_get_and_post_at_its_root(cluster):
    """Nothing else."""
    deployment = cluster.deploy("echo")
    assert deployment.send("GET", "?value=7").json() == 7
    assert deployment.send("PUT").status_code == 405
    assert deployment.send(path="/below").status_code == 404


def test_every_form_of_a_url(cluster):
    """By name, latest, version and stub."""
    deployment = cluster.deploy("echo")
    for path in ("/endpoint/echo", "/endpoint/echo/latest", f"/endpoint/id/{deployment.stub}"):
        assert cluster.http.post(path, json={"value": path}).json() == path
    bare = f"{cluster.emulator.url}{cluster.deploy('app', 'asgi').path}"
    assert httpx.post(bare, timeout=60).status_code == 401
    assert httpx.post(f"{bare}?auth_token=made-up", timeout=60).status_code == 200


def test_a_public_deployment(cluster):
    """Its URL names the stub and needs no token; others' public URL is refused."""
    public = cluster.deploy("echo", authorized=False)
    assert public.made["invokeUrl"] == f"{cluster.emulator.url}/endpoint/public/{public.stub}"
    assert httpx.post(public.made["invokeUrl"], json={"value": 1}, timeout=60).json() == 1
    private = cluster.deploy("plain")
    url = f"{cluster.emulator.url}/endpoint/public/{private.stub}"
    for wrong in (url, f"{cluster.emulator.url}/endpoint/public/nothing"):
        answer = httpx.post(wrong, json={}, timeout=60)
        assert (answer.status_code, answer.json()) == (400, {"error": "invalid stub id"})


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/endpoint/nobody/v1", "Invalid deployment"),
        ("/endpoint/echo/v9", "Invalid deployment"),
        ("/taskqueue/echo/v1", "Invalid deployment"),
        ("/endpoint/id/nothing", "Invalid stub"),
    ],
)
def test_what_is_not_deployed(cluster, path, message):
    """400, not 404."""
    cluster.deploy("echo")
    answer = cluster.http.post(path, json={})
    assert (answer.status_code, answer.json()) == (400, {"message": message})


def test_a_stopped_deployment(cluster):
    """Refused once the gateway no longer remembers it."""
    deployment = cluster.deploy("echo")
    assert deployment.change("stop") == {"ok": True}
    answer = deployment.send(json={})
    assert (answer.status_code, answer.json()) == (400, {"message": "Deployment is not active"})


def test_names_are_remembered_for_five_minutes(cluster, clock):
    """After a redeploy ``/name`` and ``/latest`` still reach the old version; ``/v2`` does not."""
    cluster.deploy("variable", env=["WHICH=old"])
    ask = {"name": "WHICH"}
    paths = ("/endpoint/variable", "/endpoint/variable/latest")
    assert [cluster.http.post(path, json=ask).json() for path in paths] == ["old", "old"]
    second = cluster.deploy("variable", env=["WHICH=new"])
    assert (second.version, second.call(**ask)) == (2, "new")
    assert [cluster.http.post(path, json=ask).json() for path in paths] == ["old", "old"]
    clock.advance(301)
    assert [cluster.http.post(path, json=ask).json() for path in paths] == ["new", "new"]


def test_too_many_at_once(cluster, tmp_path):
    """429 when as many are in flight as may be pending."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    deployment = cluster.deploy("wait", maxPendingTasks=1)
    first = Background(lambda: deployment.call(gate=str(gate), log=str(log)))
    until(log.exists)
    answer = deployment.send(json={})
    assert answer.status_code == 429
    assert answer.json() == {"error": "exceeded max pending tasks: 1"}
    gate.touch()
    assert first.result() == "opened"


def test_no_container_within_the_gateways_patience(cluster, clock):
    """504 after a quarter of an hour, and the task has timed out."""
    cluster.emulator.fail("capacity", on="start")
    deployment = cluster.deploy("echo")
    before = clock.now()
    answer = deployment.send(json={})
    assert answer.status_code == 504
    assert answer.json() == {"error": "Timed out waiting for a backend container"}
    assert clock.now() - before == pytest.approx(930, abs=1)
    (task,) = cluster.http.get(f"/api/v1/task/{cluster.workspace}").json()["data"]
    assert task["status"] == "TIMEOUT"


@pytest.mark.parametrize("options", [EmulatorOptions(gpus=frozenset({"A10G"}))])
def test_a_gpu_that_no_pool_has(cluster):
    """The stub says so and is deployed all the same; requests fail at once."""
    stub = cluster.stub("echo", gpu="H100,B200", gpuCount=1)
    assert stub["capacityStatus"] == "none"
    assert stub["unsupportedGpus"] == ["H100", "B200"]
    deployment = cluster.deploy("echo", gpu="H100", gpuCount=1)
    answer = deployment.send(json={})
    assert answer.status_code == 503
    assert "No compute capacity for GPU type H100" in answer.json()["error"]
    assert cluster.stub("echo", gpu="H100,A10G", gpuCount=1)["capacityStatus"] == "available"


def test_a_request_that_runs_too_long(cluster, tmp_path):
    """502 at the task's limit; the code runs on, and its end is not seen."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    deployment = cluster.deploy("hold", taskPolicy={"timeout": 1})
    answer = deployment.send(json={"gate": str(gate), "log": str(log)})
    assert answer.status_code == 502
    assert answer.json() == {"error": "Backend route unavailable"}
    gate.touch()


def test_a_container_that_dies_under_a_request(cluster, clock):
    """502; the task is missed when its heartbeat is overdue."""
    deployment = cluster.deploy("echo")
    cluster.emulator.fail("crash")
    answer = deployment.send(json={})
    assert answer.status_code == 502
    task = answer.headers["x-task-id"]
    assert cluster.task(task)["status"] == "RUNNING"
    assert cluster.task(task)["stats"]["queue_depth"] == 1
    clock.advance(36)
    assert cluster.task(task)["status"] == "ERROR"
    assert deployment.call(value=2) == 2


def test_a_client_that_leaves_before_a_container():
    """Its request is cancelled and never runs; time has to be real for a client to lose it."""
    with BeamEmulator(EmulatorOptions(cold_start_s=600), SystemClock()) as emulator:
        cluster = Cluster(emulator)
        deployment = cluster.deploy("echo")
        deployment.leave(f"POST {deployment.path} HTTP/1.1", "Content-Length: 0")
        (task,) = cluster.http.get(f"/api/v1/task/{cluster.workspace}").json()["data"]
        assert task["status"] == "CANCELLED"
        cluster.http.close()


def test_requests_at_once(cluster, tmp_path):
    """``workers`` of an endpoint, ``concurrentRequests`` of an asgi, share one container."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    deployment = cluster.deploy("hold", workers=3)
    body = {"gate": str(gate), "log": str(log)}
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(deployment.call, **body) for _ in range(4)]
        until(lambda: log.exists() and len(log.read_text().splitlines()) == 3)
        assert len(cluster.containers()) == 1
        gate.touch()
        assert [call.result() for call in calls] == ["opened"] * 4


def test_more_containers_for_more_requests(cluster, tmp_path):
    """One for each ``tasksPerContainer``, up to ``maxContainers``."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    deployment = cluster.deploy("wait", autoscaler=scaler(most=2))
    body = {"gate": str(gate), "log": str(log)}
    with ThreadPoolExecutor(3) as threads:
        calls = [threads.submit(deployment.call, **body) for _ in range(3)]
        until(lambda: log.exists() and len(log.read_text().splitlines()) == 2)
        assert len(cluster.containers()) == 2
        gate.touch()
        assert [call.result() for call in calls] == ["opened"] * 3


def test_a_container_whose_code_cannot_be_imported(cluster, clock):
    """It is started three times, then no more for a minute; the request waits in vain."""
    deployment = cluster.deploy("echo", objectId=cluster.upload(archive(**{"other.py": "x = 1"})))
    answer = deployment.send(json={})
    assert answer.status_code == 504
    assert any("No module named 'handlers'" in line for line in cluster.logs())
    assert len(cluster.emulator.billed_seconds) >= 3
    assert cluster.containers() == []


def test_a_warm_up_starts_one_container_without_a_call(cluster, clock):
    """By the URL's ``/warmup``."""
    deployment = cluster.deploy("echo")
    assert deployment.send(path="/warmup").status_code == 200
    assert deployment.send(path="/warmup").status_code == 200
    clock.advance(5)
    assert cluster.states() == ["RUNNING"]
    assert not any("echo" in line for line in cluster.logs())
