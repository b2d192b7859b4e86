"""Scaling, versions, rollback, logs, deleting."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from gpuhub import _drive
from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    NotFound,
    SpecError,
    UnsupportedSetting,
)
from gpuhub.scaling import Scaling
from tests.adapters.routes import sent
from tests.adapters.runpod.answers import API, described, reference, releases, worker

REF = reference()
FIRST = releases([])


def scale(lab: Any, api: Any, there: Any, scaling: Scaling) -> tuple[Any, Any]:
    """Change limits; gives the reference and the body sent."""
    api.get(f"{API}/serverless/ep1").respond(json=there)
    api.get(f"{API}/serverless/ep1/releases").respond(json=FIRST)
    patch = api.patch(f"{API}/serverless/ep1")
    patch.side_effect = lambda request: httpx.Response(
        200, json={**there, **json.loads(request.content)}
    )
    ref = lab.run(lab.adapter.scale(lab.io, REF, scaling))
    return ref, sent(patch) if patch.called else None


def test_scale_sends_the_limits_alone(lab, api, validate):
    """No new release: workers go on."""
    ref, body = scale(lab, api, described(lab.body()), Scaling(max_workers=9))
    assert body == {"workers": {"min": 0, "max": 9, "idleTimeout": 60}}
    assert validate("UpdateEndpointRequest", body) == []
    assert ref.data["max_workers"] == "9"
    assert ref.fingerprint == ""
    assert ref.name == REF.name


def test_scale_to_what_is_there(lab, api):
    """Nothing is sent."""
    assert scale(lab, api, described(lab.body()), Scaling())[1] is None


def test_scale_of_concurrency_is_a_release(lab, api):
    """The worker reads it from its environment; the other variables stay."""
    there = described(lab.body(env={"A": "1"}))
    _, body = scale(lab, api, there, Scaling(concurrency=4))
    assert set(body) == {"env"}
    assert body["env"] == {**there["env"], "GPUHUB_CONCURRENCY": "4"}


def test_scale_to_the_other_scaler(lab, api, validate):
    """The idle window goes, as RunPod refuses it there."""
    _, body = scale(lab, api, described(lab.body()), Scaling(target_in_flight=4))
    assert body == {"scaling": {"type": "REQUEST_COUNT", "requestCount": 4}}
    assert validate("UpdateEndpointRequest", body) == []


@pytest.mark.parametrize(
    "scaling",
    [
        Scaling(buffer_workers=1),
        Scaling(scale_window=60),
        Scaling(target_in_flight=2, scale_up_delay=2),
    ],
)
def test_limits_that_runpod_lacks(lab, api, scaling):
    """Refused before anything is sent."""
    with pytest.raises(SpecError, match="scaling"):
        scale(lab, api, described(lab.body()), scaling)


OLD_ENV = {"GPUHUB_FINGERPRINT": "0" * 64, "GPUHUB_BOOT": "old", "A": "old"}


def changed(field: str, old: Any, new: Any = None) -> dict[str, Any]:
    """Give an entry of a release's diff."""
    return {"field": field, "old": old, "new": new}


def test_versions(lab, api):
    """Newest first, each with the fingerprint it had."""
    api.get(f"{API}/serverless/ep1").respond(json=described(lab.body()))
    listing = releases([], [changed("template.env", OLD_ENV)], [changed("workersMax", 2)])
    api.get(f"{API}/serverless/ep1/releases").respond(json=listing)
    found = lab.run(lab.adapter.versions(lab.io, REF))
    assert [version.id for version in found] == ["3", "2", "1"]
    assert [version.current for version in found] == [True, False, False]
    assert [version.fingerprint[:1] for version in found] == ["f", "f", "0"]
    assert found[0].detail == "changed workersMax"
    assert found[0].created_at == 1793664000.0


def rollback(lab: Any, api: Any, listing: Any, version: str, **settings: Any) -> Any:
    """Roll back and give what was sent."""
    there = described(lab.body(**settings))
    api.get(f"{API}/serverless/ep1").respond(json=there)
    api.get(f"{API}/serverless/ep1/releases").respond(json=listing)
    patch = api.patch(f"{API}/serverless/ep1").respond(json=there)
    lab.run(lab.adapter.rollback(lab.io, REF, version))
    return sent(patch) if patch.called else None


def test_rollback_sends_the_old_settings(lab, api, validate):
    """All that later releases changed, and nothing else."""
    listing = releases(
        [],
        [changed("template.imageName", "me/worker:1"), changed("template.env", OLD_ENV)],
        [changed("template.imageName", "me/worker:2"), changed("locations", "EU-RO-1,US-TX-3")],
    )
    body = rollback(lab, api, listing, "1")
    assert body["image"] == "me/worker:1"
    assert body["env"] == OLD_ENV
    assert body["dataCenterIds"] == ["EU-RO-1", "US-TX-3"]
    assert set(body) == {"image", "env", "dataCenterIds"}
    assert validate("UpdateEndpointRequest", body) == []


def test_rollback_by_one(lab, api):
    """Releases before the wanted one do not matter."""
    listing = releases([], [changed("unknown", 1)], [changed("template.imageName", "me/worker:2")])
    assert rollback(lab, api, listing, "2") == {"image": "me/worker:2"}


def test_rollback_reads_the_names_of_older_apis(lab, api):
    """Maps as lists of pairs, text as lists, limits by their old names."""
    pairs = [{"key": name, "value": text} for name, text in OLD_ENV.items()]
    listing = releases(
        [],
        [
            changed("template.env", pairs),
            changed("workersMax", 7),
            changed("workers.min", 2),
            changed("executionTimeoutMs", 5000),
            changed("flashBootType", "FLASHBOOT"),
            changed("networkVolumeIds", ["vol1"]),
        ],
    )
    body = rollback(lab, api, listing, "1")
    assert body["env"] == OLD_ENV
    assert body["workers"] == {"min": 2, "max": 7, "idleTimeout": 60}
    assert (body["timeout"], body["flashboot"]) == (5000, "FLASHBOOT")
    assert body["networkVolumes"] == ["vol1"]


def test_rollback_of_gpus(lab, api):
    """As a whole member or by its parts."""
    listing = releases([], [changed("gpuCount", 2)], [changed("gpu", {"pools": ["ADA_24"]})])
    body = rollback(lab, api, listing, "1", gpu="L4")
    assert body["gpu"] == {"pools": ["ADA_24"], "count": 2}


def test_rollback_of_gpus_of_older_apis(lab, api):
    """Pools and exclusions in one text."""
    old = "AMPERE_24,ADA_24,-NVIDIA RTX A5000"
    listing = releases([], [changed("gpuIds", old), changed("minCudaVersion", "12.4")])
    assert rollback(lab, api, listing, "1", gpu="L4")["gpu"] == {
        "pools": ["AMPERE_24", "ADA_24"],
        "count": 1,
        "excludedTypes": ["NVIDIA RTX A5000"],
        "minCudaVersion": "12.4",
    }


@pytest.mark.parametrize(
    ("entries", "scaling"),
    [
        ([changed("scalerValue", 9)], {"type": "QUEUE_DELAY", "queueDelay": 9}),
        (
            [changed("scalerValue", 2), changed("scalerType", "REQUEST_COUNT")],
            {"type": "REQUEST_COUNT", "requestCount": 2},
        ),
    ],
)
def test_rollback_of_the_scaler_of_older_apis(lab, api, entries, scaling):
    """Type and value apart, in any order."""
    assert rollback(lab, api, releases([], entries), "1")["scaling"] == scaling


def test_rollback_takes_no_notice_of_names(lab, api):
    """A name says nothing about what runs."""
    assert rollback(lab, api, releases([], [changed("name", "old")]), "1") is None


def test_releases_without_a_version(lab, api):
    """Then their ids serve, and the newest one is the current."""
    api.get(f"{API}/serverless/ep1").respond(json=described(lab.body()))
    listing = releases([], [])
    listing["endpointVersion"] = None
    for release in listing["releases"]:
        release |= {"version": None, "createdAt": "long ago"}
    api.get(f"{API}/serverless/ep1/releases").respond(json=listing)
    found = lab.run(lab.adapter.versions(lab.io, REF))
    assert [(version.id, version.current) for version in found] == [
        ("rel_2", True),
        ("rel_1", False),
    ]
    assert found[0].created_at is None


def test_rollback_to_the_current_version(lab, api):
    """There is nothing to send."""
    assert rollback(lab, api, releases([], []), "2") is None


def test_rollback_to_an_unknown_version(lab, api):
    """The listed ones are named."""
    with pytest.raises(NotFound, match="it lists: 2, 1"):
        rollback(lab, api, releases([], []), "9")


def test_rollback_past_what_the_api_cannot_set(lab, api):
    """Half a rollback would be something that never was."""
    listing = releases([], [changed("modelReferences", ["x"])])
    with pytest.raises(BadRequest, match="modelReferences"):
        rollback(lab, api, listing, "1")


def event(number: int, line: str, second: int) -> str:
    """Give one server-sent event."""
    ts = f"2026-11-01T00:00:{second:02}Z"
    data = json.dumps({"source": "container", "line": line, "ts": ts})
    return f"id: {ts}/{number}\ndata: {data}\n\n"


def logs(lab: Any, since: float | None = None) -> list[Any]:
    """Read the log."""
    return lab.items(lab.adapter.logs(lab.io, REF, since, follow=False))


def listed(api: Any, *names: str) -> None:
    """Let these workers exist."""
    workers = [{**worker("IDLE"), "id": name} for name in names]
    api.get(f"{API}/serverless/ep1/workers").respond(json={"workers": workers, "summary": {}})


def test_logs_of_all_workers(lab, api):
    """Oldest first, whosever they are."""
    listed(api, "w1", "w2")
    route = api.get(f"{API}/serverless/ep1/workers/w1/logs")
    route.respond(200, text=": hello\n\n" + event(1, "one", 1) + event(2, "three", 3))
    api.get(f"{API}/serverless/ep1/workers/w2/logs").respond(200, text=event(1, "two", 2))
    found = logs(lab)
    assert [(line.worker, line.message) for line in found] == [
        ("w1", "one"),
        ("w2", "two"),
        ("w1", "three"),
    ]
    assert found[0].source == "stdout"
    assert route.calls.last.request.url.params["tail"] == "5000"


def test_logs_since(lab, api):
    """RunPod is asked from that moment on."""
    listed(api, "w1")
    route = api.get(f"{API}/serverless/ep1/workers/w1/logs").respond(200, text="")
    assert logs(lab, 1793491200.5) == []
    assert route.calls.last.request.url.params["since"] == "2026-11-01T00:00:00.500000Z"


def test_a_stream_that_stays_open_has_told_all(lab, api):
    """RunPod never ends one: a moment without an event is the end of what it has."""
    listed(api, "w1")

    class Held(httpx.SyncByteStream):
        def __iter__(self):
            text = event(1, "kept", 1).encode()
            yield text[:20]
            yield text[20:]
            raise httpx.ReadTimeout("nothing more")

    api.get(f"{API}/serverless/ep1/workers/w1/logs").mock(
        return_value=httpx.Response(200, stream=Held())
    )
    assert [line.message for line in logs(lab)] == ["kept"]


def test_a_worker_that_left(lab, api):
    """Its log is skipped; a refusal is not."""
    listed(api, "w1")
    api.get(f"{API}/serverless/ep1/workers/w1/logs").respond(404)
    assert logs(lab) == []
    api.get(f"{API}/serverless/ep1/workers/w1/logs").respond(403)
    with pytest.raises(AuthFailed):
        logs(lab)


def test_follow_tells_each_line_once(lab, api):
    """It asks again from the last line on, which RunPod then repeats."""
    listed(api, "w1")
    route = api.get(f"{API}/serverless/ep1/workers/w1/logs")
    first, second = event(1, "one", 1) + event(2, "same", 1), event(3, "two", 2)
    route.side_effect = [
        httpx.Response(200, text=first),
        httpx.Response(200, text=first),
        httpx.Response(200, text=first + second),
    ]
    lines: Any = _drive.sync_iter(lab.adapter.logs(lab.io, REF, None, follow=True))
    assert [next(lines).message for _ in range(3)] == ["one", "same", "two"]
    lines.close()
    assert route.calls.last.request.url.params["since"].startswith("2026-11-01T00:00:01")


def test_delete(lab, api):
    """The endpoint goes with its template; nothing else is touched."""
    route = api.delete(f"{API}/serverless/ep1").respond(204)
    lab.run(lab.adapter.delete(lab.io, REF))
    assert route.call_count == 1
    assert len(api.calls) == 1


def test_delete_leaves_foreign_endpoints(lab, api):
    """What gpuhub did not make it does not remove."""
    with pytest.raises(UnsupportedSetting, match="not made by gpuhub"):
        lab.run(lab.adapter.delete(lab.io, reference(made_by_gpuhub=False)))
    assert not api.calls
