"""Scripted faults, tokens, limits, the record of requests, starting and stopping."""

from __future__ import annotations

import os

import httpx
import pytest

from gpuhub.testing.emulator import Emulator, Fault
from gpuhub.testing.emulator.clocks import ScaledClock
from gpuhub_replicate.emulator import (
    DOCUMENTED_QUOTAS,
    EmulatorOptions,
    Quota,
    ReplicateEmulator,
    contract_emulator,
    emulator,
)
from tests.adapters.replicate.emulator.conftest import Account, is_running
from tests.adapters.waiting import is_quick, until


def test_it_has_the_face_of_all(account):
    """What the contract suite and the command line use."""
    assert isinstance(account.emulator, Emulator)
    assert isinstance(contract_emulator(), Emulator)
    assert isinstance(emulator(), Emulator)
    assert account.emulator.start()["cog_runtime"] == "base"


def test_refusals(account):
    """In Replicate's form; nothing runs."""
    deployed = account.deployment()
    for fault, status, word in (
        (Fault("unauthorized"), 401, "authentication token"),
        (Fault("server_error"), 500, "internal"),
        (Fault("capacity"), 503, "capacity"),
        (Fault("server_error", status=402), 402, "credit"),
        (Fault("server_error", status=418, message="short and stout"), 418, "stout"),
    ):
        account.emulator.fail(fault)
        answer = deployed.post()
        assert answer.status_code == answer.json()["status"] == status
        assert word in answer.json()["detail"]
        assert answer.json()["title"]
    assert account.http.get("predictions").json()["results"] == []


def test_a_rate_limit(account):
    """Only ``detail``, and two headers."""
    account.emulator.fail(Fault("rate_limit", delay_s=7), on="account")
    answer = account.http.get("account")
    assert answer.status_code == 429
    assert answer.json() == {"detail": "Request was throttled. Your rate limit resets in ~7s."}
    assert answer.headers["ratelimit-remaining"] == "0"
    assert answer.headers["ratelimit-reset"] == "7"
    assert "retry-after" not in answer.headers


def test_malformed_and_lost_answers(account):
    """The request had its effect."""
    deployed = account.deployment()
    account.emulator.fail("malformed")
    assert deployed.post().text.startswith("<html>")
    for code in (None, "halfway"):
        account.emulator.fail(Fault("lost_response", code=code))
        with pytest.raises(httpx.TransportError):
            deployed.post()
    assert len(account.http.get("predictions").json()["results"]) == 3


def test_faults_by_chance(account):
    """The same seed, the same sequence."""
    account.emulator.fail_randomly("server_error", on="hardware", probability=0.5, seed=7)
    statuses = [account.http.get("hardware").status_code for _ in range(20)]
    assert {200, 500} == set(statuses)


def test_faults_of_the_registry(account):
    """In the registry's form."""
    account.model()
    account.emulator.fail("unauthorized", on="push")
    answer = account.registry.post("gpuhub-tester/tested/blobs/uploads/")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("options", [EmulatorOptions(tokens=frozenset({"right"}))])
def test_tokens(account):
    """``Bearer`` or ``Token``; without a known one nothing is told."""
    url = f"{account.emulator.url}/v1/account"
    for given, status in (
        ("Bearer right", 200),
        ("Token right", 200),
        ("Bearer wrong", 401),
        ("right", 401),
        ("", 401),
    ):
        assert httpx.get(url, headers={"Authorization": given}, timeout=60).status_code == status


@pytest.mark.parametrize(
    "options", [EmulatorOptions(quotas={"create": Quota(2, 60), "other": Quota(3, 60)})]
)
def test_limits_of_requests(account, clock):
    """Creating and the rest are counted apart; they reset."""
    path = "models/black-forest-labs/flux-schnell/predictions"

    def create():
        return account.http.post(path, json={"input": {"prompt": "x"}})

    assert [create().status_code for _ in range(3)] == [201, 201, 429]
    assert create().headers["ratelimit-reset"] == "60"
    statuses = [account.http.get("account").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    clock.advance(60)
    assert create().status_code == 201


def test_the_documented_limits():
    """600 predictions and 3,000 other requests a minute."""
    assert {kind: each.count for kind, each in DOCUMENTED_QUOTAS.items()} == {
        "create": 600,
        "other": 3000,
    }


def test_requests_are_recorded(account):
    """By what they mean, without tokens."""
    deployed = account.deployment()
    deployed.run()
    deployed.patch(max_instances=2)
    deployed.patch(version=deployed.version)
    account.http.get(deployed.path)
    names = [each.operation for each in account.emulator.requests]
    assert names.count("deploy") == 2
    assert names[-1] == "status"
    assert {"model", "registry", "push", "submit", "scale"} <= set(names)
    (submitted,) = account.emulator.requests.of("submit")
    assert submitted.json == {"input": {"payload": "x"}}
    assert submitted.headers["prefer"] == "wait"
    assert "made-up" not in str(list(account.emulator.requests))


def test_unknown_routes(account):
    """404, or 405 for the wrong method."""
    assert account.http.get("nothing").status_code == 404
    assert account.http.put("predictions", json={}).status_code == 405
    assert account.http.post("predictions", content=b"no JSON").status_code == 400


def test_stopping_leaves_nothing(account):
    """No process, no folder; it is quick, and may be done twice."""
    deployed = account.deployment(
        "import os\nclass Runner:\n def run(self, payload: str) -> str: return str(os.getpid())\n"
    )
    pid = int(deployed.run()["output"])
    folder = account.emulator._folder
    assert folder.exists()
    account.emulator.stop()
    account.emulator.stop()
    until(lambda: not is_running(pid))
    assert not folder.exists()


def test_starting_is_cheap():
    """Every test of the contract suite makes one."""

    def start() -> None:
        with ReplicateEmulator():
            pass

    assert is_quick(start, 0.05)


def test_in_faster_time(tmp_path):
    """A clock that runs by itself: workers idle out while nobody looks."""
    options = EmulatorOptions(idle_s=20)
    account = Account(ReplicateEmulator(options, ScaledClock(100)))
    try:
        deployed = account.deployment()
        assert account.ended(deployed.begin("x"))["output"] == "x"
        until(lambda: not deployed.pool.workers)
    finally:
        account.close()


def test_a_killed_worker(account):
    """As if it ran out of memory."""
    deployed = account.deployment(min_instances=1)
    account.emulator.clock.advance(3)
    until(lambda: any(each.has_booted for each in deployed.pool.workers.values()))
    (worker,) = deployed.pool.workers
    account.emulator.kill_worker(worker)
    assert worker not in deployed.pool.workers
    assert len(deployed.pool.workers) == 1
    with pytest.raises(KeyError):
        account.emulator.kill_worker(worker)


def test_a_worker_that_does_not_start(account):
    """What waits for it fails; the next one comes up."""
    deployed = account.deployment()
    account.emulator.fail("crash", on="start")
    assert deployed.run()["status"] == "failed"
    assert deployed.run()["status"] == "succeeded"


def test_nothing_of_the_machine_is_in_a_worker(account, monkeypatch):
    """Its environment is the image's."""
    monkeypatch.setenv("OF_THE_MACHINE", "1")
    runner = "import os\nclass Runner:\n def run(self, payload: str) -> str:\n"
    runner += "  return ' '.join(sorted(os.environ))\n"
    names = account.deployment(runner).run()["output"].split()
    assert "OF_THE_MACHINE" not in names
    assert "OF_THE_MACHINE" in os.environ
    assert {"COG_PREDICT_TYPE_STUB", "PATH", "HOME", "TMPDIR"} <= set(names)
