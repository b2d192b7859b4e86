"""Looking at deployments, changing them, taking them away, and their logs."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import gpuhub
from gpuhub.errors import (
    NotFound,
    SpecError,
)
from gpuhub.scaling import Scaling
from gpuhub_replicate import wire
from tests.adapters.replicate.answers import API, OURS, VERSION, deployment, reference, version
from tests.adapters.replicate.steps import deploy, mutations
from tests.adapters.waiting import until


def test_another_machine_finds_what_was_deployed(plant, echo):
    """With what it has to know of it."""
    deploy(plant, echo, scaling=Scaling(concurrency=2))
    ref = plant.run(plant.adapter.find(plant.io, "lab-echo"))
    assert ref.made_by_gpuhub
    assert ref.data["concurrency"] == "2"
    assert ref.revision == "1"
    assert "wire" not in ref.data
    assert plant.run(plant.adapter.find(plant.io, "lab-nothing")) is None


def test_the_account_is_asked_once(lab, api):
    """Or never, with an owner in the settings."""
    account = api.get(f"{API}/account").respond(json={"username": "acme"})
    api.get(f"{API}/deployments/acme/a").respond(404)
    for _ in range(2):
        assert lab.run(lab.adapter.find(lab.io, "a")) is None
    assert account.call_count == 1


def test_an_owner_in_the_settings(make_lab, api):
    """An organization's, for a token of one of its members."""
    lab = make_lab(owner="acme")
    api.get(f"{API}/deployments/acme/a").respond(404)
    assert lab.run(lab.adapter.find(lab.io, "a")) is None


def test_a_version_that_cannot_be_read_is_nobodys(lab, api):
    """Hidden ones: its answers are taken as they come, under the result."""
    api.get(f"{API}/account").respond(json={"username": "acme"})
    api.get(f"{API}/deployments/acme/lab-echo").respond(json=deployment())
    api.get(f"{API}/models/acme/lab-echo/versions/{VERSION}").respond(404)
    ref = lab.run(lab.adapter.find(lab.io, "lab-echo"))
    assert ref.data["wire"] == "bare"


def test_status_says_what_replicate_tells(plant, echo):
    """Limits, hardware and version; no workers and no queue."""
    ref = deploy(plant, echo, scaling=Scaling(max_workers=2))
    found = plant.run(plant.adapter.status(plant.io, ref))
    assert found.rollout.value == "ready"
    assert found.version == ref.version
    assert (found.workers, found.queue_depth) == (None, None)
    assert found.scaling == {"min_workers": 0, "max_workers": 2}
    assert "cpu" in found.detail


@pytest.mark.parametrize(
    ("scaling", "words"),
    [
        (Scaling(concurrency=2), "concurrency .it is in the image"),
        (Scaling(target_in_flight=2), "target_in_flight"),
        (Scaling(buffer_workers=1), "buffer_workers"),
    ],
)
def test_a_live_deployment_changes_its_limits_only(lab, api, scaling, words):
    """What is in the image needs a deploy; what Replicate has not is refused."""
    with pytest.raises(SpecError, match=words):
        lab.run(lab.adapter.scale(lab.io, reference(), scaling))
    assert not api.calls


def test_a_rollback_keeps_hardware_and_limits(plant, provider, echo):
    """It is a release with an older version."""
    first = deploy(plant, echo, env={"A": "1"})
    second = deploy(plant, echo, env={"A": "2"}, scaling=Scaling(max_workers=7))
    listed = plant.run(plant.adapter.versions(plant.io, second))
    assert [each.id for each in listed] == [second.version, first.version]
    assert [each.current for each in listed] == [True, False]
    back = plant.run(plant.adapter.rollback(plant.io, second, first.version))
    assert back.version == first.version
    assert back.revision == "3"
    found = plant.run(plant.adapter.status(plant.io, back))
    assert found.scaling["max_workers"] == 7


def test_versions_come_in_pages(lab, api):
    """All of them are read."""
    api.get(f"{API}/deployments/acme/lab-echo").respond(json=deployment())
    place = f"{API}/models/acme/lab-echo/versions"
    pages = [
        {"results": [version()], "next": f"{place}?cursor=2"},
        {"results": [version(number="cd" * 32)], "next": None},
    ]
    api.get(place).side_effect = [httpx.Response(200, json=each) for each in pages]
    found = lab.run(lab.adapter.versions(lab.io, reference()))
    assert [each.id for each in found] == [VERSION, "cd" * 32]


def test_limits_that_somebody_changed_are_put_back(provider, make_lab, shop):
    """The unchanged function is deployed again: the release is another one than the journal's."""
    lab = make_lab(**provider.start())
    function = gpuhub.function(scaling=Scaling(max_workers=2))(shop.echo)
    function = function.in_workspace(lab.workspace)
    endpoint = function.deploy()
    patch = wire.patch_deployment("gpuhub-tester", endpoint.name, {"max_instances": 9})
    lab.run(lab.io.send(patch))
    assert endpoint.status().scaling["max_workers"] == 9
    function.deploy()
    assert endpoint.status().scaling["max_workers"] == 2


def test_a_delete_has_two_steps(plant, provider, echo):
    """Off at once; gone when Replicate lets it go, with versions and model."""
    ref = deploy(plant, echo)
    options = gpuhub.adapter.CallOptions()
    call = plant.run(plant.adapter.submit(plant.io, ref, b'{"value":1}', options)).ref
    provider.clock.advance(60)
    until(lambda: provider.prediction(call.id).is_over)
    plant.run(plant.adapter.delete(plant.io, ref))
    assert provider.orphans() == []
    assert plant.run(plant.adapter.find(plant.io, ref.name)) is None
    status = plant.run(plant.adapter.status(plant.io, ref))
    assert status.rollout.value == "stopped"
    assert plant.run(plant.adapter.finish_deletes(plant.io)) == []
    provider.clock.advance(16 * 60)
    done = plant.run(plant.adapter.finish_deletes(plant.io))
    assert done == ["gpuhub-tester/lab-echo"]
    with pytest.raises(NotFound):
        plant.run(plant.adapter.status(plant.io, ref))
    changed = mutations(provider)
    assert ("DELETE", "/v1/models/gpuhub-tester/lab-echo") in changed


def test_a_deploy_switches_it_on_again(plant, provider, echo):
    """Before it is gone: nothing is pushed."""
    ref = deploy(plant, echo)
    plant.run(plant.adapter.delete(plant.io, ref))
    mark = len(list(provider.requests))
    again = deploy(plant, echo)
    if again.revision != "1":
        paths = {path for _, path in mutations(provider, mark)}
        assert paths == {"/v1/deployments/gpuhub-tester/lab-echo"}
    assert plant.run(plant.adapter.find(plant.io, ref.name)) is not None


def test_only_what_is_gpuhubs_is_finished(lab, api):
    """Somebody else's deployment that is off stays; pages are read to the end."""
    off = {"min_instances": 0, "max_instances": 0}
    theirs = deployment(name="theirs", configuration=off)
    theirs["current_release"]["model"] = "acme/theirs"
    ours = deployment(configuration=off)
    place = f"{API}/deployments"
    pages = [
        {"results": [theirs, deployment(name="on")], "next": f"{place}?cursor=2"},
        {"results": [ours], "next": None},
    ]
    api.get(place).side_effect = [httpx.Response(200, json=each) for each in pages]
    foreign: dict[str, Any] = {"components": {"schemas": {"Input": {"properties": {"prompt": {}}}}}}
    api.get(f"{API}/models/acme/theirs/versions/{VERSION}").respond(json=version(foreign))
    api.get(f"{API}/models/acme/lab-echo/versions/{VERSION}").respond(json=version(OURS))
    gone = api.delete(f"{API}/deployments/acme/lab-echo").respond(204)
    api.get(f"{API}/models/acme/lab-echo/versions").respond(json={"results": [version()]})
    api.delete(f"{API}/models/acme/lab-echo/versions/{VERSION}").respond(202)
    api.delete(f"{API}/models/acme/lab-echo").respond(400, json={"detail": "not yet"})
    assert lab.run(lab.adapter.finish_deletes(lab.io)) == ["acme/lab-echo"]
    assert gone.call_count == 1


def test_logs_are_those_of_the_deployments_predictions(lab, api):
    """Oldest first; the list may come without them; those of others stay out."""

    def listed(number: int, **facts: Any) -> dict[str, Any]:
        at = f"2026-11-20T10:00:0{number}Z"
        given = {
            "id": f"p{number}",
            "created_at": at,
            "started_at": at,
            "status": "succeeded",
            "deployment": "acme/lab-echo",
        }
        return {**given, **facts}

    place = f"{API}/predictions"
    pages = [
        {
            "results": [listed(3, logs="c\n"), listed(2, deployment="acme/other", logs="x")],
            "next": f"{place}?cursor=2",
        },
        {"results": [listed(1), listed(0, deployment=None, model="acme/lab-echo")], "next": None},
    ]
    route = api.get(place)
    route.side_effect = [httpx.Response(200, json=each) for each in pages]
    api.get(f"{place}/p1").respond(json=listed(1, logs="a\nb\n"))
    api.get(f"{place}/p0").respond(404)
    lines = lab.items(lab.adapter.logs(lab.io, reference(), None, follow=False))
    assert [line.message for line in lines] == ["a", "b", "c"]
    assert lines[0].time < lines[-1].time
    route.side_effect = [httpx.Response(200, json=each) for each in pages]
    since = lines[-1].time - 0.5
    lines = lab.items(lab.adapter.logs(lab.io, reference(), since, follow=False))
    assert [line.message for line in lines] == ["c"]


def test_followed_logs_are_told_once(lab, api):
    """A prediction that runs gets longer."""
    at = "2026-11-20T10:00:00Z"
    logs = iter(["a\n", "a\nb\n", "a\nb\nc\n"])

    def answer(_request: Any) -> Any:
        entry = {
            "id": "p1",
            "created_at": at,
            "status": "processing",
            "logs": next(logs),
            "deployment": "acme/lab-echo",
        }
        return httpx.Response(200, json={"results": [entry], "next": None})

    api.get(f"{API}/predictions").mock(side_effect=answer)

    async def first_three() -> list[str]:
        found = []
        async for line in lab.adapter.logs(lab.io, reference(), None, follow=True):
            found.append(line.message)
            if len(found) == 3:
                break
        return found

    assert lab.run(first_three()) == ["a", "b", "c"]
