"""Looking at a deployment and changing it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from gpuhub.adapter import LogLine, Rollout, WorkerCounts
from gpuhub.errors import BadRequest, MalformedResponse, NotFound, SpecError, UnsupportedSetting
from gpuhub.scaling import Scaling
from gpuhub_beam import schedule
from gpuhub_beam.unary import fields_of
from tests.adapters.beam.answers import GATEWAY, LIST, WORKSPACE, config, deployed, pair, reference

REF = reference()
CONTAINERS = f"/api/v1/container/{WORKSPACE}"
LOGS = f"/api/v1/logs/{WORKSPACE}"
TASKS = f"/api/v1/task/{WORKSPACE}"
DEPLOYMENT = rf"{GATEWAY}/deployments/(?P<id>[^/]+)"


def changes(api: Any) -> Any:
    """Take every start, stop and delete of a deployment."""
    api.post(path__regex=rf"{DEPLOYMENT}/(start|stop)$").respond(json={"ok": True})
    api.delete(path__regex=rf"{DEPLOYMENT}$").respond(json={"ok": True})
    api.get(TASKS).respond(json={"data": [], "next": ""})
    return api


def changed(api: Any) -> list[str]:
    """Give what was started, stopped and deleted, in order."""
    requests = [call.request for call in api.calls if "/deployments/" in call.request.url.path]
    return [
        f"{request.method} {request.url.path.partition('/deployments/')[2]}" for request in requests
    ]


def look(api: Any, containers: Any = (), waiting: int = 0, **facts: Any) -> Any:
    """Script what a status reads."""
    api.get(LIST).respond(json=pair(1, 1, **facts))
    api.get(CONTAINERS).respond(json=list(containers))
    tasks = {"data": [{"stats": {"queue_depth": waiting}}] if waiting else [], "next": ""}
    return api.get(TASKS).respond(json=tasks)


def container(status: str, stub: str = "stub-endpoint-1") -> dict[str, Any]:
    """Give a container as the gateway describes it."""
    return {"container_id": "c", "stub_id": stub, "status": status}


def status(lab: Any, ref: Any = REF) -> Any:
    """Ask for the status."""
    return lab.run(lab.adapter.status(lab.io, ref))


def test_a_version_at_zero_is_ready(lab, api):
    """It takes calls at once, cold."""
    look(api, [container("RUNNING", "stub-of-others")])
    found = status(lab)
    assert (found.rollout, found.version) == (Rollout.READY, "endpoint-v1")
    assert found.workers == WorkerCounts()
    assert (found.queue_depth, found.in_flight) == (0, None)
    assert found.scaling == {"min_workers": 0, "max_workers": 3, "idle_timeout": 60}


def test_warm_workers_are_waited_for(lab, api):
    """A version that keeps some is ready when one is up, of its main part."""
    queue = container("RUNNING", "stub-taskqueue-1")
    look(api, [container("PENDING"), queue], least=1)
    found = status(lab)
    assert found.rollout is Rollout.IN_PROGRESS
    assert found.workers == WorkerCounts(starting=1, running=1)
    assert "starting" in found.detail
    look(api, [container("RUNNING"), container("STOPPING")], waiting=2, least=1)
    assert status(lab).rollout is Rollout.READY
    assert status(lab).queue_depth == 4  # of both parts


def test_a_stopped_version(lab, api):
    """Says so; where another serves, that one is told of."""
    look(api, active=False)
    assert status(lab).rollout is Rollout.STOPPED
    api.get(LIST).respond(json=pair(2, 2) + pair(1, 1, active=False))
    assert status(lab).version == "endpoint-v2"
    api.get(LIST).respond(json=[])
    assert "deleted" in status(lab).detail


@pytest.mark.parametrize("answer", [{}, None, "text"])
def test_no_list_of_containers(lab, api, answer):
    """Is no status."""
    look(api)
    api.get(CONTAINERS).respond(json=answer)
    with pytest.raises(MalformedResponse):
        status(lab)


def test_scaling_edits_both_parts(lab, api):
    """And starts them: only then the gateway reads its stubs again."""
    changes(api).get(LIST).respond(json=pair(1, 1))
    patch = api.patch(path__regex=rf"/api/v1/stub/{WORKSPACE}/[^/]+/config").respond(json={})
    scaling = Scaling(min_workers=1, max_workers=5, idle_timeout=4)
    ref = lab.run(lab.adapter.scale(lab.io, REF, scaling))
    bodies = [json.loads(call.request.content)["fields"] for call in patch.calls]
    assert [fields["autoscaler.min_containers"] for fields in bodies] == [1, 0]
    assert {fields["autoscaler.max_containers"] for fields in bodies} == {5}
    assert {fields["keep_warm_seconds"] for fields in bodies} == {10}
    assert changed(api) == ["POST endpoint-1/start", "POST taskqueue-1/start"]
    assert ref.fingerprint == ""


@pytest.mark.parametrize(
    "scaling",
    [
        Scaling(concurrency=2),
        Scaling(buffer_workers=1),
        Scaling(scale_window=5),
        Scaling(scale_up_delay=5),
    ],
)
def test_limits_that_cannot_change_in_place(lab, api, scaling):
    """Refused, and nothing is sent."""
    api.get(LIST).respond(json=pair(1, 1))
    with pytest.raises(SpecError, match="scaling"):
        lab.run(lab.adapter.scale(lab.io, REF, scaling))
    assert len(api.calls) == 1


def test_versions(lab, api):
    """All that gpuhub made, with the fingerprints they were made with."""
    foreign = deployed("pod", 3, 9, config={"env": []})
    api.get(LIST).respond(json=[foreign, *pair(2, 2), *pair(1, 1, active=False)])
    found = lab.run(lab.adapter.versions(lab.io, REF))
    assert [(each.id, each.current) for each in found] == [
        ("endpoint-v2", True),
        ("endpoint-v1", False),
    ]
    assert found[0].created_at - found[1].created_at == 60
    assert "stopped" in found[1].detail


def test_a_rollback_starts_before_it_stops(lab, api):
    """So that one of them serves at every moment; the queue before the main part."""
    changes(api).get(LIST).respond(json=pair(2, 2) + pair(1, 1, active=False))
    ref = lab.run(lab.adapter.rollback(lab.io, REF, "endpoint-v1"))
    assert ref.version == "endpoint-v1"
    assert changed(api) == [
        *("POST taskqueue-1/start", "POST endpoint-1/start"),
        *("POST endpoint-2/stop", "POST taskqueue-2/stop"),
    ]
    with pytest.raises(NotFound, match="endpoint-v1"):
        lab.run(lab.adapter.rollback(lab.io, REF, "endpoint-v7"))


def test_a_rollback_makes_the_schedule_again(lab, api, monkeypatch):
    """Stopping the version had ended it for good; the newer one's ends with its stop."""
    asked: list[Any] = []

    def call(*args: Any) -> bytes:
        asked.append(args)
        return bytes([8, 1])

    monkeypatch.setattr(schedule, "call", call)
    parts = "endpoint,taskqueue,schedule"

    def three(number: int, *, active: bool) -> list[Any]:
        env = {"GPUHUB_SCHEDULE": f"{number} * * * *"}
        facts = {"parts": parts, "active": active, "fingerprint": str(number)}
        timed = deployed("schedule", number, number, env=env, **facts)
        return [*pair(number, number, **facts), timed]

    changes(api).get(LIST).respond(json=[*three(2, active=True), *three(1, active=False)])
    ref = lab.run(lab.adapter.rollback(lab.io, REF, "endpoint-v1"))
    assert ref.version == "endpoint-v1"
    assert fields_of(asked[0][2]) == {1: b"stub-schedule-1", 2: b"1 * * * *", 3: b"schedule-1"}
    assert "POST schedule-2/stop" in changed(api)


def test_calls_that_wait_are_cancelled_before_a_stop(lab, api):
    """Nobody would begin them: they would wait until they expire."""
    changes(api).get(LIST).respond(json=pair(2, 2) + pair(1, 1, active=False))
    batch = {"data": [{"external_id": f"t-{at}"} for at in range(100)], "next": ""}
    rest = {"data": [{"external_id": "t-100"}], "next": ""}
    api.get(TASKS).mock(side_effect=[httpx.Response(200, json=each) for each in (batch, rest)])
    cancel = api.delete(TASKS).respond(json={})
    lab.run(lab.adapter.rollback(lab.io, REF, "endpoint-v1"))
    sent = [call.request.url.params["task_ids"].split(",") for call in cancel.calls]
    assert [len(tasks) for tasks in sent] == [100, 1]
    assert changed(api)[-1] == "POST taskqueue-2/stop"


def test_a_stop_that_is_refused(lab, api):
    """Is no stop: the version would be billed on. The gateway says so with status 200."""
    refusal = {"ok": False, "errMsg": "Unable to stop deployment"}
    api.post(path__regex=rf"{DEPLOYMENT}/stop$").respond(json=refusal)
    changes(api).get(LIST).respond(json=pair(2, 2, fingerprint="new") + pair(1, 1))
    with pytest.raises(BadRequest, match="to stop endpoint v1 of 'lab-echo': Unable"):
        lab.run(lab.adapter.retire(lab.io, reference(version="endpoint-v2")))


def test_an_older_version_with_calls_runs_down(lab, api):
    """Without warm workers; a stop would end its calls."""
    entries = pair(2, 2, fingerprint="new") + pair(1, 1, least=1)
    changes(api).get(LIST).respond(json=entries)

    def busy(request: httpx.Request) -> httpx.Response:
        depth = int(request.url.params["stub_ids"] == "stub-endpoint-1")
        return httpx.Response(200, json={"data": [{"stats": {"queue_depth": depth}}]})

    api.get(TASKS).mock(side_effect=busy)
    patch = api.patch(path__regex=r".*/stub-endpoint-1/config").respond(json={})
    lab.run(lab.adapter.retire(lab.io, reference(version="endpoint-v2")))
    assert changed(api) == ["POST endpoint-1/start", "POST taskqueue-1/stop"]
    fields = json.loads(patch.calls.last.request.content)["fields"]
    assert fields == {"autoscaler.min_containers": 0}


def test_a_delete_takes_every_version(lab, api):
    """With the secrets that were stored for it, and nothing of others."""
    secrets = {"TOKEN": "GPUHUB_LAB_ECHO_TOKEN", "OTHER": "shared"}
    env = {"GPUHUB_SECRETS": json.dumps(secrets)}
    foreign = deployed("endpoint", 9, 9, config={"env": []})
    entries = [foreign, *pair(2, 2, env=env), *pair(1, 1, active=False)]
    changes(api).get(LIST).respond(json=entries)
    forget = api.delete(path__regex=rf"/secret/{WORKSPACE}/.*").respond(200)
    lab.run(lab.adapter.delete(lab.io, REF))
    assert sorted(changed(api)) == [
        *("DELETE endpoint-1", "DELETE endpoint-2"),
        *("DELETE taskqueue-1", "DELETE taskqueue-2"),
    ]
    assert [call.request.url.path for call in forget.calls] == [
        f"/secret/{WORKSPACE}/GPUHUB_LAB_ECHO_TOKEN"
    ]
    api.get(LIST).respond(json=[foreign])
    with pytest.raises(NotFound):
        lab.run(lab.adapter.delete(lab.io, REF))
    with pytest.raises(UnsupportedSetting, match="its own only"):
        lab.run(lab.adapter.delete(lab.io, reference(made_by_gpuhub=False)))


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("lab-echo", "/endpoint/lab-echo/v2"),
        ("lab-echo/v1", "/endpoint/lab-echo/v1"),
        ("endpoint/lab-echo", "/endpoint/lab-echo/v2"),
        ("endpoint/lab-echo/v1", "/endpoint/lab-echo/v1"),
    ],
)
def test_addresses(lab, api, address, path):
    """Always the versioned URL: the gateway may keep another for latest for five minutes."""
    api.get(LIST).respond(json=pair(2, 2) + pair(1, 1))
    ref = lab.run(lab.adapter.connect(lab.io, "beam", address))
    assert ref.data["path"] == path
    assert ref.name == "lab-echo"


def test_connecting_to_a_foreign_queue(lab, api):
    """Its calls are tasks."""
    entry = deployed("taskqueue", 3, 1, config={"env": [], "task_policy": {"timeout": 60}})
    api.get(LIST).respond(json=[entry])
    ref = lab.run(lab.adapter.connect(lab.io, "beam", "taskqueue/lab-echo"))
    assert (ref.data["queue"], ref.made_by_gpuhub) == ("/taskqueue/lab-echo/v3", False)
    assert ref.address == "taskqueue/lab-echo"
    with pytest.raises(NotFound, match="taskqueue-v3"):
        lab.run(lab.adapter.connect(lab.io, "beam", "lab-echo/v9"))


def test_connecting_to_a_foreign_function(lab, api):
    """Its calls are tasks too; its pickled results are given as they are."""
    api.get(LIST).respond(json=[deployed("function", 1, 1, config={"env": []})])
    ref = lab.run(lab.adapter.connect(lab.io, "beam", "lab-echo"))
    assert ref.data["queue"] == "/function/lab-echo/v1"


def test_warming(lab, api):
    """A route of the version; no call is made."""
    route = api.post("/endpoint/lab-echo/v1/warmup").respond(200)
    lab.run(lab.adapter.warm(lab.io, REF))
    assert route.called


def test_the_workspace_is_asked_for_once(make_lab, api):
    """And a token of another gateway asks there: two gateways share nothing."""
    first, second = make_lab(workspace=None), make_lab(gateway_url="http://mine:1994")
    mine = api.get("http://mine:1994/api/v1/deployment/ws-1").respond(json=[])
    current = api.get("https://app.beam.cloud/api/v1/workspace/current")
    current.respond(json={"external_id": "ws-9", "name": "x"})
    hosted = api.get("https://app.beam.cloud/api/v1/deployment/ws-9").respond(json=[])
    for lab in (first, second, first):
        assert lab.run(lab.adapter.find(lab.io, "lab-echo")) is None
    assert (current.call_count, hosted.call_count, mine.call_count) == (1, 2, 1)


# -------------------------------------------------------------------------------------- logs


def record(number: int, message: str, **facts: Any) -> dict[str, Any]:
    """Give a line as the gateway keeps it."""
    moment = f"2026-11-01T00:00:{number:02}.123456789Z"
    return {"seq_num": number, "timestamp": moment, "message": message, **facts}


def logs(lab: Any, *, follow: bool = False, since: float | None = None) -> Any:
    """Read the log."""
    return lab.adapter.logs(lab.io, REF, since, follow=follow)


def test_the_log_is_read_page_by_page(lab, api):
    """Of the app, which has all versions; oldest first, each line once."""
    full = [record(at % 60, f"line {at}\n", seq_num=at + 1) for at in range(500)]
    pages = [full, [record(59, "last\nand more\n", stream="stderr", container_id="c", seq_num=900)]]
    route = api.get(LOGS)
    route.side_effect = lambda request: _page(pages, request)
    lines = lab.items(logs(lab, since=1_760_000_000))
    assert len(lines) == 502
    assert [line.time for line in lines] == sorted(line.time for line in lines)
    assert lines[-1].message == "and more"
    assert (lines[-1].source, lines[-1].worker) == ("stderr", "c")
    query = route.calls[0].request.url.params
    assert (query["object_type"], query["object_id"]) == ("BETA9_APP", "app-1")
    assert query["start_time"].endswith("Z")


def _page(pages: list[Any], request: Any) -> Any:
    return httpx.Response(200, json={"logs": pages[int(request.url.params["page"])]})


def test_a_log_is_followed(lab, api):
    """From the last line read, over as many streams as it takes."""
    api.get(LOGS).respond(json={"logs": [record(1, "old")]})
    events = ": connected\n\n" + "".join(
        f"event: log\nid: {at}\ndata: {json.dumps(record(at, f'new {at}'))}\n\n" for at in (2, 3)
    )
    stream = api.get(f"{LOGS}/stream").respond(200, text=events)
    found: list[LogLine] = []
    from gpuhub import _drive

    for line in _drive.sync_iter(logs(lab, follow=True)):
        found.append(line)
        if len(found) == 4:
            break
    assert [line.message for line in found] == ["old", "new 2", "new 3", "new 2"]
    assert [call.request.headers["last-event-id"] for call in stream.calls] == ["1", "3"]


def test_config_of_tests_is_what_is_deployed(lab):
    """The made-up configuration has the variables of a real plan."""
    sent = next(each for each in lab.plan().requests if each.step == "stub-endpoint").json["env"]
    names = {entry.partition("=")[0] for entry in sent}
    assert {entry.partition("=")[0] for entry in config()["env"]} <= names
