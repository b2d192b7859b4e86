"""Deployments and models on the emulator: releases, instances, bills, rules of deletion."""

from __future__ import annotations

import pytest

from gpuhub_replicate.emulator import EmulatorOptions
from tests.adapters.waiting import until

COUNTING = """
class Runner:
    def setup(self):
        self.calls = 0
    def run(self, payload: str) -> str:
        self.calls += 1
        return str(self.calls)
"""
SAYING = """
class Runner:
    def run(self, payload: str) -> str:
        return "{word}"
"""
GATED = """
import time
from pathlib import Path
class Runner:
    def run(self, payload: str) -> str:
        while not Path(payload).exists():
            time.sleep(0.005)
        return "opened"
"""


def billed(account):
    """Give all seconds billed so far."""
    return account.emulator.billed_seconds.total


def test_making_one_starts_nothing(account, clock):
    """With no minimum: a release with number 1, no worker, no bill."""
    account.deployment(hardware="gpu-a100-large", max_instances=3)
    found = account.http.get("deployments/gpuhub-tester/tested").json()
    release = found["current_release"]
    assert (release["number"], release["model"]) == (1, "gpuhub-tester/tested")
    assert release["configuration"] == {
        "hardware": "gpu-a100-large",
        "min_instances": 0,
        "max_instances": 3,
    }
    assert release["created_by"]["username"] == "gpuhub-tester"
    clock.advance(3600)
    assert billed(account) == 0


def test_a_minimum_is_warm(account, clock):
    """Without a call, and for ever; it is billed."""
    deployed = account.deployment(COUNTING, min_instances=2, max_instances=2)
    clock.advance(100)
    until(lambda: len([each for each in deployed.pool.workers.values() if each.has_booted]) == 2)
    clock.advance(3600)
    assert len(deployed.pool.workers) == 2
    assert billed(account) == pytest.approx(7400)


def test_idle_workers_stop(account, clock):
    """Setup, work and idling are billed; then nothing, until the next call."""
    deployed = account.deployment(COUNTING)
    assert deployed.run()["output"] == "1"
    clock.advance(100)
    assert deployed.run()["output"] == "2"
    (worker,) = deployed.pool.workers.values()
    assert worker.idle_since >= 3 + 100
    clock.advance(1000)
    assert deployed.pool.workers == {}
    assert billed(account) == pytest.approx(worker.idle_since + 180)
    assert deployed.run()["output"] == "1"


def test_more_workers_for_what_waits(account, clock, tmp_path):
    """Up to the maximum; the rest waits."""
    deployed = account.deployment(GATED, max_instances=2)
    gate = tmp_path / "gate"
    begun = [deployed.begin(str(gate)) for _ in range(3)]
    assert len(deployed.pool.workers) == 1
    clock.advance(1)
    assert len(deployed.pool.workers) == 2
    clock.advance(10)
    until(lambda: [account.get(each)["status"] for each in begun].count("processing") == 2)
    assert account.get(begun[2])["status"] == "starting"
    gate.touch()
    assert [account.ended(each)["output"] for each in begun] == ["opened"] * 3


def test_every_change_is_a_release(account):
    """Numbers count on, the model stays, old versions may come back."""
    deployed = account.deployment(SAYING.format(word="one"))
    first = deployed.version
    second = account.version(SAYING.format(word="two"))
    assert deployed.patch(max_instances=2)["number"] == 2
    assert deployed.run()["output"] == "one"
    release = deployed.patch(version=second)
    assert (release["number"], release["version"]) == (3, second)
    assert deployed.run()["output"] == "two"
    assert deployed.patch(version=first)["number"] == 4
    assert deployed.run()["output"] == "one"
    assert release["configuration"]["max_instances"] == 2


@pytest.mark.parametrize("options", [EmulatorOptions(cold_start_s=0.1)])
def test_a_running_prediction_ends_on_the_old_release(account, clock, tmp_path):
    """While the next one runs on the new one."""
    deployed = account.deployment(GATED, max_instances=2)
    gate = tmp_path / "gate"
    old = deployed.begin(str(gate))
    clock.advance(3)
    until(lambda: account.get(old)["status"] == "processing")
    deployed.patch(version=account.version(SAYING.format(word="new")))
    assert deployed.run()["output"] == "new"
    gate.touch()
    assert account.ended(old)["output"] == "opened"
    assert account.get(old)["version"] == deployed.version


def test_a_change_of_numbers_keeps_the_workers(account):
    """They go on, warm."""
    deployed = account.deployment(COUNTING)
    assert deployed.run()["output"] == "1"
    deployed.patch(max_instances=3)
    assert deployed.run()["output"] == "2"


def test_zero_is_off(account, clock):
    """Nothing runs; what comes waits until it is on again."""
    deployed = account.deployment(COUNTING, min_instances=1)
    assert deployed.run()["output"] == "1"
    deployed.patch(min_instances=0, max_instances=0)
    assert deployed.pool.workers == {}
    before = billed(account)
    begun = deployed.begin()
    clock.advance(600)
    assert account.get(begun)["status"] == "starting"
    assert billed(account) == before
    deployed.patch(max_instances=1)
    clock.advance(3)
    assert account.ended(begun)["output"] == "1"


def test_what_waits_for_a_day_is_dropped(account, clock):
    """It is not kept for ever."""
    begun = account.deployment(max_instances=0).begin()
    clock.advance(86_401)
    assert account.get(begun)["status"] == "failed"


def test_deleting_takes_two_steps(account, clock):
    """Refused while it was used a moment ago; 204 after a quarter of an hour off."""
    deployed = account.deployment()
    deployed.run()
    assert account.http.delete(deployed.path).status_code == 409
    deployed.patch(min_instances=0, max_instances=0)
    clock.advance(890)
    refused = account.http.delete(deployed.path)
    assert (refused.status_code, refused.json()["title"]) == (409, "Deployment cannot be deleted")
    clock.advance(11)
    assert account.http.delete(deployed.path).status_code == 204
    assert account.http.get(deployed.path).status_code == 404
    assert account.emulator.orphans() == []


def test_deleting_models_and_versions(account, clock):
    """Versions first, and only when no deployment uses them."""
    deployed = account.deployment()
    model, version = "models/gpuhub-tester/tested", f"versions/{deployed.version}"
    assert account.http.delete(f"{model}/{version}").status_code == 403
    clock.advance(901)
    assert account.http.delete(deployed.path).status_code == 204
    assert account.http.delete(model).status_code == 403
    assert account.http.delete(f"{model}/{version}").status_code == 202
    assert account.http.delete(model).status_code == 204
    assert account.http.get(model).status_code == 404


def test_models_of_others_are_not_ours(account):
    """Read, not changed."""
    path = "models/stability-ai/sdxl"
    assert account.http.get(path).json()["is_official"] is False
    assert account.http.delete(path).status_code == 403
    assert account.http.patch(path, json={"description": "mine"}).status_code == 403
    body = {"owner": "stability-ai", "name": "x", "visibility": "private", "hardware": "cpu"}
    assert account.http.post("models", json=body).status_code == 403


def test_a_model_is_made_once(account):
    """Public or private, with facts that can be changed later."""
    account.model(description="first")
    body = {"owner": "gpuhub-tester", "name": "tested", "visibility": "public", "hardware": "cpu"}
    assert account.http.post("models", json=body).status_code == 409
    changed = account.http.patch("models/gpuhub-tester/tested", json={"description": "second"})
    assert changed.json()["description"] == "second"
    found = account.http.get("models/gpuhub-tester/tested").json()
    assert (found["visibility"], found["latest_version"]) == ("private", None)
    listed = account.http.get("models").json()["results"]
    assert listed[0]["name"] == "tested"


@pytest.mark.parametrize(
    "fields",
    [
        {"min_instances": 6},
        {"max_instances": 21},
        {"min_instances": -1},
        {"min_instances": 2, "max_instances": 1},
        {"hardware": "gpu-b200"},
        {"version": "0" * 64},
        {"model": "gpuhub-tester/other"},
        {"name": "Not A Name"},
        {"idle_timeout": 60},
        {"min_instances": "1"},
    ],
)
def test_what_cannot_be_deployed(account, fields):
    """422, as the API says, and nothing is made."""
    body = {
        "name": "tested",
        "model": "gpuhub-tester/tested",
        "version": account.version(),
        "hardware": "cpu",
        "min_instances": 0,
        "max_instances": 1,
    }
    answer = account.http.post("deployments", json={**body, **fields})
    assert answer.status_code == 422, answer.text
    assert answer.json()["status"] == 422
    assert account.http.get("deployments").json()["results"] == []
    assert account.http.post("deployments", json=body).status_code == 200
    assert account.http.post("deployments", json=body).status_code == 409
    assert account.http.patch("deployments/gpuhub-tester/tested", json={"name": "x"}).is_error


def test_versions_newest_first(account):
    """Each with its schema and the version of Cog it was built with."""
    first, second = account.version(), account.version(SAYING.format(word="two"))
    listed = account.http.get("models/gpuhub-tester/tested/versions").json()["results"]
    assert [each["id"] for each in listed] == [second, first]
    one = account.http.get(f"models/gpuhub-tester/tested/versions/{first}").json()
    assert one["cog_version"] == "0.23.1"
    assert "payload" in one["openapi_schema"]["components"]["schemas"]["Input"]["properties"]


def test_hardware_and_account(account):
    """What there is to rent, and whose token it is."""
    skus = [each["sku"] for each in account.http.get("hardware").json()]
    assert {"cpu", "gpu-t4", "gpu-2x-l40s", "gpu-a100-large-8x", "gpu-h100"} <= set(skus)
    assert account.http.get("account").json()["username"] == "gpuhub-tester"


@pytest.mark.parametrize("options", [EmulatorOptions(idle_s=30, delete_after_s=60)])
def test_times_are_options(account, clock):
    """Of idling, and of deleting."""
    deployed = account.deployment(COUNTING)
    deployed.run()
    clock.advance(31)
    assert deployed.pool.workers == {}
    clock.advance(61)
    assert account.http.delete(deployed.path).status_code == 204


def test_no_capacity_for_a_worker(account, clock):
    """It waits for a card, and is not billed meanwhile."""
    from gpuhub.testing.emulator import Fault

    deployed = account.deployment()
    account.emulator.fail(Fault("capacity", delay_s=300), on="start")
    begun = deployed.begin("late")
    clock.advance(299)
    assert (account.get(begun)["status"], billed(account)) == ("starting", 0)
    clock.advance(5)
    assert account.ended(begun)["output"] == "late"
