"""Looking at deployments and changing them: status, versions, limits, logs, delete, connect."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from gpuhub.adapter import Rollout
from gpuhub.errors import (
    BadRequest,
    ConfigError,
    MalformedResponse,
    NotFound,
    ProviderUnavailable,
    SpecError,
    UnsupportedSetting,
)
from gpuhub.scaling import Scaling
from tests.adapters.baseten.answers import (
    API,
    LIMITS,
    MODEL,
    deployment,
    environment,
    model,
    reference,
)
from tests.adapters.routes import sent

ENVIRONMENT = f"{API}/models/abc123/environments/production"
DEPLOYMENTS = f"{API}/models/abc123/deployments"
OTHER = {"gpuhub_fingerprint": "0" * 64}
LATER = {"created_at": "2026-11-02T00:00:00Z"}


def status(lab: Any, **facts: Any) -> Any:
    """Ask for the status."""
    return lab.run(lab.adapter.status(lab.io, reference(**facts)))


def find(lab: Any) -> Any:
    """Look for the deployment of the lab."""
    return lab.run(lab.adapter.find(lab.io, "lab-echo"))


@pytest.fixture
def there(api):
    """A model of the lab's name among others."""
    listed = [model(id="other", name="lab-echo-2"), model()]
    api.get(f"{API}/models").respond(json={"models": listed})


def test_find_takes_the_very_name(lab, api, there):
    """And gives what the labels say."""
    api.get(ENVIRONMENT).respond(
        json=environment(deployment(labels={"gpuhub_webhook": "https://x"}))
    )
    ref = find(lab)
    assert (ref.address, ref.version, ref.fingerprint) == ("abc123", "dep1", "f" * 64)
    assert ref.data["webhook"] == "https://x"
    assert ref.made_by_gpuhub


def test_find_tells_changed_limits(lab, api, there):
    """Then the next deploy is no no-op, and puts them back."""
    labels = {"gpuhub_limits": json.dumps({"max_replica": 3})}
    changed = {"autoscaling_settings": {**LIMITS, "max_replica": 5}}
    api.get(ENVIRONMENT).respond(json=environment(deployment(labels=labels), **changed))
    assert find(lab).fingerprint not in ("", "f" * 64)
    api.get(ENVIRONMENT).respond(json=environment(deployment(labels=labels)))
    assert find(lab).fingerprint == "f" * 64


def test_find_tells_what_is_on_its_way(lab, api, there):
    """A first deployment that no environment has taken up yet is there, but not current."""
    api.get(ENVIRONMENT).respond(json=environment(None, deployment("dep1", "BUILDING")))
    ref = find(lab)
    assert ref.version == "dep1"
    assert ref.fingerprint not in ("", "f" * 64)


def test_find_passes_over_what_is_not_ours(lab, api, there):
    """Another model of that name, an empty environment, no environment."""
    foreign = deployment()
    foreign["labels"] = None
    answers = [environment(foreign), environment(), None]
    for answer in answers:
        if answer is None:
            api.get(ENVIRONMENT).respond(404, json={"message": "none"})
        else:
            api.get(ENVIRONMENT).respond(json=answer)
        assert find(lab) is None


@pytest.mark.parametrize(
    ("state", "rollout"),
    [
        ("ACTIVE", Rollout.READY),
        ("SCALED_TO_ZERO", Rollout.READY),
        ("WAKING_UP", Rollout.READY),
        ("UNHEALTHY", Rollout.READY),
        ("UPDATING", Rollout.IN_PROGRESS),
        ("INACTIVE", Rollout.STOPPED),
        ("DEACTIVATING", Rollout.STOPPED),
    ],
)
def test_status_of_what_serves(lab, api, state, rollout):
    """By its state; replicas as a number, the limits of the environment."""
    api.get(ENVIRONMENT).respond(json=environment(deployment("dep1", state)))
    found = status(lab)
    assert (found.rollout, found.version) == (rollout, "dep1")
    assert found.scaling["idle_timeout"] == 60
    assert found.workers.total >= 1
    assert (found.queue_depth, found.in_flight) == (None, None)


@pytest.mark.parametrize(
    ("state", "rollout"),
    [
        ("BUILDING", Rollout.IN_PROGRESS),
        ("LOADING_MODEL", Rollout.IN_PROGRESS),
        ("ACTIVE", Rollout.IN_PROGRESS),  # but not promoted yet
        ("BUILD_FAILED", Rollout.FAILED),
        ("DEPLOY_FAILED", Rollout.FAILED),
        ("FAILED", Rollout.FAILED),
    ],
)
def test_status_of_a_rollout(lab, api, state, rollout):
    """The new one is watched, the old one is the version that serves."""
    new = deployment("dep2", state, **LATER)
    api.get(ENVIRONMENT).respond(json=environment(deployment("dep1", labels=OTHER), new))
    lines = [{"timestamp": "1", "message": "no such package", "replica": None}]
    api.post(f"{DEPLOYMENTS}/dep2/logs").respond(json={"logs": lines})
    found = status(lab, version="dep2")
    assert (found.rollout, found.version) == (rollout, "dep1")
    assert found.log_tail == (("no such package",) if rollout is Rollout.FAILED else ())


def test_status_of_one_that_was_replaced(lab, api):
    """By somebody else, with a later one: what serves counts."""
    api.get(ENVIRONMENT).respond(json=environment(deployment("dep3", **LATER)))
    api.get(f"{DEPLOYMENTS}/dep1").respond(json=deployment("dep1"))
    found = status(lab)
    assert (found.rollout, found.version) == (Rollout.READY, "dep3")


def test_status_of_a_failed_promotion(lab, api):
    """The words of the promotion are told."""
    promotion = {
        "status": "FAILED",
        "percent_traffic_to_new_version": 0,
        "error_message": "replicas do not start",
    }
    there = environment(deployment("dep1"), in_progress_promotion=promotion)
    api.get(ENVIRONMENT).respond(json=there)
    api.get(f"{DEPLOYMENTS}/dep2").respond(json=deployment("dep2", **LATER))
    api.post(f"{DEPLOYMENTS}/dep2/logs").respond(json={"logs": []})
    found = status(lab, version="dep2")
    assert found.rollout is Rollout.FAILED
    assert "replicas do not start" in found.detail


def test_a_state_of_the_future(lab, api):
    """Is no crash."""
    api.get(ENVIRONMENT).respond(json=environment(deployment("dep1", "HIBERNATING")))
    with pytest.raises(MalformedResponse, match="HIBERNATING"):
        status(lab)


def test_status_of_one_deployment(lab, api):
    """Addressed by itself, it is in no environment."""
    api.get(f"{DEPLOYMENTS}/dep7").respond(json=deployment("dep7"))
    assert status(lab, address="abc123/deployment/dep7").version == "dep7"


def test_versions_are_deployments(lab, api):
    """Newest first, one of them current; failed builds and the development slot are none."""
    listed = [
        deployment("dep1"),
        deployment("dep3", created_at="2026-11-03T00:00:00Z"),
        deployment("dep2", "BUILD_FAILED", **LATER),
        deployment("dev", is_development=True),
    ]
    api.get(ENVIRONMENT).respond(json=environment(deployment("dep1")))
    api.get(DEPLOYMENTS).respond(json={"deployments": listed})
    found = lab.run(lab.adapter.versions(lab.io, reference()))
    assert [(each.id, each.current) for each in found] == [("dep3", False), ("dep1", True)]
    assert found[0].fingerprint == "f" * 64


def test_rollback_promotes_and_waits(lab, api, validate):
    """Until the environment has taken it up."""
    old = deployment("dep0", labels=OTHER)
    promoted = api.post(f"{ENVIRONMENT}/promote").respond(json=old)
    looks = [environment(deployment("dep1"), old), environment(old)]
    api.get(ENVIRONMENT).side_effect = [httpx.Response(200, json=look) for look in looks]
    ref = lab.run(lab.adapter.rollback(lab.io, reference(), "dep0"))
    assert ref.version == "dep0"
    assert sent(promoted)["preserve_env_instance_type"] is False
    assert validate("PromoteToEnvironmentRequestV1", sent(promoted)) == []


def test_a_rollback_that_fails(lab, api):
    """Says why; what served still does."""
    api.post(f"{ENVIRONMENT}/promote").respond(json=deployment("dep0"))
    promotion = {"status": "FAILED", "error_message": "does not start"}
    there = environment(deployment("dep1"), in_progress_promotion=promotion)
    api.get(ENVIRONMENT).respond(json=there)
    with pytest.raises(ProviderUnavailable, match="does not start"):
        lab.run(lab.adapter.rollback(lab.io, reference(), "dep0"))
    one = reference(address="abc123/deployment/dep1")
    with pytest.raises(BadRequest, match="one deployment"):
        lab.run(lab.adapter.rollback(lab.io, one, "dep0"))


def test_scale_changes_the_environment(lab, api, validate):
    """Since a promotion gives its limits to the deployment."""
    patch = api.patch(ENVIRONMENT).respond(json={})
    scaling = Scaling(min_workers=1, max_workers=4, idle_timeout=90, target_in_flight=2)
    lab.run(lab.adapter.scale(lab.io, reference(), scaling))
    settings = sent(patch)["autoscaling_settings"]
    assert settings == {
        "min_replica": 1,
        "max_replica": 4,
        "autoscaling_window": 60,
        "scale_down_delay": 90,
        "concurrency_target": 2,
    }
    assert validate("UpdateAutoscalingSettingsV1", settings) == []
    one = api.patch(f"{DEPLOYMENTS}/dep7/autoscaling_settings").respond(json={})
    lab.run(lab.adapter.scale(lab.io, reference(address="abc123/deployment/dep7"), scaling))
    assert sent(one) == settings


@pytest.mark.parametrize(
    ("scaling", "error"),
    [
        (Scaling(concurrency=4), UnsupportedSetting),
        (Scaling(buffer_workers=1), SpecError),
        (Scaling(scale_up_delay=1), SpecError),
        (Scaling(idle_timeout=9000), SpecError),
    ],
)
def test_limits_that_cannot_change_live(lab, api, scaling, error):
    """Are refused before anything is sent."""
    with pytest.raises(error) as caught:
        lab.run(lab.adapter.scale(lab.io, reference(), scaling))
    assert caught.value.next_step
    assert not api.calls


def entry(moment: int, text: str, **facts: Any) -> dict[str, Any]:
    """Give a line of a log, at a millisecond."""
    stamp = str(moment * 1_000_000)
    return {"timestamp": stamp, "message": text, "replica": "r1", "level": None, **facts}


def test_logs_are_in_order(lab, api):
    """Whatever the order of the answer; an entry of several lines is several lines."""
    lines = [
        entry(2000, "second\nof two"),
        entry(1000, "first"),
        entry(3000, "built", replica=None),
    ]
    logs = api.post(f"{DEPLOYMENTS}/dep1/logs").respond(json={"logs": lines})
    found = lab.items(lab.adapter.logs(lab.io, reference(), None, follow=False))
    assert [line.message for line in found] == ["first", "second", "of two", "built"]
    assert [line.source for line in found] == ["stdout"] * 3 + ["system"]
    assert sent(logs) == {"direction": "asc", "limit": 1000}


def test_long_logs_are_read_in_pages(lab, api):
    """Each line once, even where a page ends in the middle of a millisecond."""
    everything = [entry(1000 + number // 3, f"line {number}") for number in range(2500)]

    def answer(request: httpx.Request) -> httpx.Response:
        start = json.loads(request.content).get("start_epoch_millis", 0)
        rest = [each for each in everything if int(each["timestamp"]) >= start * 1_000_000]
        return httpx.Response(200, json={"logs": rest[:1000]})

    api.post(f"{DEPLOYMENTS}/dep1/logs").side_effect = answer
    found = lab.items(lab.adapter.logs(lab.io, reference(), 1.0, follow=False))
    assert [line.message for line in found] == [f"line {number}" for number in range(2500)]


def test_old_logs_are_read_in_windows(lab, api):
    """Baseten refuses more than seven days at once."""
    bodies = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(200, json={"logs": []})

    import time

    api.post(f"{DEPLOYMENTS}/dep1/logs").side_effect = answer
    since = time.time() - 15 * 86_400
    assert lab.items(lab.adapter.logs(lab.io, reference(), since, follow=False)) == []
    assert len(bodies) == 3
    assert "end_epoch_millis" not in bodies[-1]
    spans = [each["end_epoch_millis"] - each["start_epoch_millis"] for each in bodies[:-1]]
    assert spans == [7 * 86_400_000] * 2


def test_following_gives_late_lines_once(lab, api):
    """A line that reached the store late is not lost, none comes twice."""
    pages = [
        [entry(10_000, "a"), entry(12_000, "c")],
        [entry(10_000, "a"), entry(11_000, "b"), entry(12_000, "c")],
        [entry(12_000, "c"), entry(13_000, "d")],
    ]
    api.post(f"{DEPLOYMENTS}/dep1/logs").side_effect = [
        httpx.Response(200, json={"logs": page}) for page in pages
    ]
    lines = lab.adapter.logs(lab.io, reference(), None, follow=True)
    taken = []

    async def take() -> None:
        async for line in lines:
            taken.append(line.message)
            if len(taken) == 4:
                return

    lab.run(take())
    assert taken == ["a", "c", "b", "d"]


def test_delete_takes_the_model_and_its_secrets(lab, api):
    """Baseten deletes no production deployment by itself."""
    api.get(f"{API}/models/abc123").respond(json=model())
    gone = api.delete(f"{API}/models/abc123").respond(json={"id": "abc123", "deleted": True})
    names = ["HF_TOKEN", "gpuhub-lab-echo-TOKEN", "gpuhub-lab-other-TOKEN"]
    listed = [{"name": name, "created_at": "2026-11-01T00:00:00Z"} for name in names]
    api.get(f"{API}/secrets").respond(json={"secrets": listed})
    secret = api.delete(f"{API}/secrets/gpuhub-lab-echo-TOKEN").respond(json={"name": "x"})
    lab.run(lab.adapter.delete(lab.io, reference()))
    assert gone.called
    assert secret.call_count == 1


def test_delete_of_another_environment_leaves_the_model(lab, api):
    """While production uses it."""
    api.get(f"{API}/models/abc123").respond(json=model())
    listed = [deployment("dep1"), deployment("dep5", environment="staging")]
    api.get(DEPLOYMENTS).respond(json={"deployments": listed})
    off = api.delete(f"{API}/models/abc123/environments/staging").respond(json={})
    gone = api.delete(f"{DEPLOYMENTS}/dep5").respond(json={})
    lab.run(lab.adapter.delete(lab.io, reference(address="abc123/staging")))
    assert off.called
    assert gone.called


def test_what_is_not_ours_is_not_deleted(lab, api):
    """Not even asked about."""
    with pytest.raises(UnsupportedSetting):
        lab.run(lab.adapter.delete(lab.io, reference(made_by_gpuhub=False)))
    assert not api.calls


def connect(lab: Any, address: str) -> Any:
    """Connect to an address."""
    return lab.run(lab.adapter.connect(lab.io, "baseten", address))


def test_connect(lab, api):
    """To an environment, to one deployment, with a key that may only call."""
    api.get(f"{API}/models/abc123").respond(json=model())
    api.get(ENVIRONMENT).respond(json=environment(deployment()))
    api.get(f"{DEPLOYMENTS}/dep7").respond(json={**deployment("dep7"), "labels": None})
    assert connect(lab, "abc123").made_by_gpuhub
    other = connect(lab, "abc123/deployment/dep7")
    assert not other.made_by_gpuhub
    assert other.url == f"{MODEL}/deployment/dep7/predict"
    api.get(f"{API}/models/abc123").respond(403, json={"message": "this key may only invoke"})
    assert connect(lab, "abc123").made_by_gpuhub is False
    with pytest.raises(ConfigError, match="no id of a model"):
        connect(lab, "evil.example/x?")


def test_connect_to_nothing(lab, api):
    """An environment that has no deployment."""
    api.get(f"{API}/models/abc123").respond(json=model())
    api.get(f"{API}/models/abc123/environments/qa").respond(json=environment())
    with pytest.raises(NotFound, match="'qa'"):
        connect(lab, "abc123/qa")


def test_what_only_baseten_has(lab, api):
    """Prices by the hour, measured cold starts, off and on."""
    kinds = [{"instance_type": {"id": "L4:4x16", "name": "L4:4x16"}, "price": 0.01}]
    api.get(f"{API}/instance_type_prices").respond(json={"instance_types": kinds})
    assert lab.run(lab.adapter.instance_prices(lab.io)) == {"L4:4x16": pytest.approx(0.6)}
    api.get(f"{DEPLOYMENTS}/dep1/startups/summary").respond(json={"phases": []})
    assert lab.run(lab.adapter.cold_starts(lab.io, reference())) == {"phases": []}
    for verb in ("activate", "deactivate"):
        route = api.post(f"{DEPLOYMENTS}/dep1/{verb}").respond(json={"success": True})
        lab.run(getattr(lab.adapter, verb)(lab.io, reference()))
        assert route.called
