"""What can go wrong, on every emulator: nothing lost, nothing run twice, nothing left billing.

Each fault ends in an outcome, kept by provider in ``outcomes`` and shown in ``docs/drill.md``.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gpuhub.adapter import Feature
from gpuhub.errors import GpuHubError, JournalError
from gpuhub.testing.contract.bench import is_mutation
from gpuhub.testing.contract.drive import Drive
from gpuhub.testing.contract.fixtures import Fixtures
from gpuhub.testing.contract.project import APP, MODULE
from gpuhub.testing.emulator import Fault

KILLED = Path(__file__).with_name("killed.py")
INVOKE_FAULTS = {
    "wrong key": ("unauthorized", 50),
    "no capacity": ("capacity", 50),
    "rate-limit storm": (Fault("rate_limit", delay_s=3), 3),
    "endless rate limit": (Fault("rate_limit", delay_s=3), 50),
    "5xx once": ("server_error", 1),
    "5xx for ever": ("server_error", 50),
    "answer cut off": ("lost_response", 1),
    "a proxy's page": ("malformed", 1),
    "worker killed": ("crash", 1),
}
DEPLOY_FAULTS = {
    "wrong key": "unauthorized",
    "5xx": "server_error",
    "answer cut off": "lost_response",
    "a proxy's page": "malformed",
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def shown(error: GpuHubError) -> str:
    """Name an error; one without a next step helps nobody."""
    assert error.next_step, f"{type(error).__name__} says no next step: {error}"
    return type(error).__name__


class Drill(Fixtures):
    """The faults; a subclass for each provider."""

    name: ClassVar[str]

    @pytest.fixture
    def drive(self):
        """Blocking calls; the contract suite has the other ways."""
        import asyncio

        with asyncio.Runner() as runner:
            yield Drive("sync", runner)

    @pytest.mark.parametrize("fault", INVOKE_FAULTS)
    def test_a_call(self, fault, bench, outcome):
        """It runs once or not at all, and what is said of it is true."""
        log, endpoint = bench.log(), bench.deploy("record")
        kind, times = INVOKE_FAULTS[fault]
        bench.emulator.fail(kind, on="submit", times=times)
        try:
            found = f"result {bench.invoke(endpoint, 'once', str(log.path))}"
        except GpuHubError as error:
            found = shown(error)
            accepted = getattr(error, "accepted", None)
            bench.advance(600)
            if accepted is False:
                assert log.lines() == [], "it was said not to have run"
        assert len(log.lines()) <= 1, "it ran twice"
        if found.startswith("result"):
            assert log.lines() == ["once"]
        bench.drive.call(endpoint, "delete")
        assert bench.emulator.orphans() == []
        outcome(self.name, f"call: {fault}", found)

    def test_a_result_that_is_hard_to_get(self, bench, outcome):
        """Polls that fail, are cut off or answered by a proxy are repeated; the call is not."""
        log, endpoint = bench.log(), bench.deploy("record")
        if bench.lacks(Feature.SPAWN):
            pytest.skip("no spawned calls")
        call = endpoint.spawn("kept", str(log.path))
        for kind in ("server_error", "lost_response", "rate_limit"):
            bench.emulator.fail(kind, on="poll")
        assert call.result(timeout=600) == "kept"
        assert log.lines() == ["kept"]
        outcome(self.name, "poll: 5xx, cut off, rate limit", "result")

    @pytest.mark.parametrize("fault", DEPLOY_FAULTS)
    def test_a_deploy(self, fault, bench, outcome):
        """Cut at each of its requests, then made again: one deployment, and no orphan."""
        mark = len(bench.sent())
        bench.deploy("echo", name="clean")
        operations = list(dict.fromkeys(each.operation for each in bench.sent_since(mark)))
        ends = set()
        for number, operation in enumerate(operations):
            name = f"cut-{number}"
            bench.emulator.fail(DEPLOY_FAULTS[fault], on=operation)
            try:
                bench.deploy("echo", name=name)
                ends.add("deployed")
            except GpuHubError as error:
                ends.add(shown(error))
            endpoint = self.deployed_again(bench, name)
            assert bench.invoke(endpoint, number) == number
            assert bench.emulator.orphans() == [], f"after {operation}"
            bench.drive.call(endpoint, "delete")
        outcome(self.name, f"deploy: {fault}", " or ".join(sorted(ends)))

    def deployed_again(self, bench, name: str):
        """Deploy as one does after an error; the fault may have been still to come."""
        last = None
        for _ in range(3):
            try:
                return bench.deploy("echo", name=name)
            except GpuHubError as error:
                last = error
        raise AssertionError(f"three more deploys did not help: {last}")

    def test_a_full_disk_stops_a_deploy(self, bench, outcome):
        """What cannot be written down first is not made."""
        bench.deploy("echo")
        store = bench.workspace.journal._store
        ((pages,),) = store.rows("PRAGMA page_count")
        store.rows(f"PRAGMA max_page_count = {pages}")
        for number in range(2000):
            mark = len(bench.sent())
            settings = {"name": f"more-{number}", "env": {"FILLER": "x" * 20_000}}
            found = bench.attempt(lambda settings=settings: bench.deploy("echo", **settings))
            if isinstance(found, GpuHubError):
                break
        assert isinstance(found, JournalError)
        assert "the disk is full" in found.message
        made = [each for each in bench.sent_since(mark) if is_mutation(each)]
        assert made == [], "the provider was asked to make something"
        outcome(self.name, "journal: full disk", shown(found))

    def test_a_killed_client_leaves_no_orphan(self, bench, outcome):
        """A ``kill -9`` during a deploy, at many moments; the next deploy takes over."""
        for number in range(4):
            with self.client(bench, "deploy", name=f"killed-{number}") as process:
                mark = len(bench.sent())
                ends = time.monotonic() + 50
                while len(bench.sent_since(mark)) <= number and time.monotonic() < ends:
                    if process.poll() is not None:
                        break
                process.send_signal(signal.SIGKILL)
            bench.restart()
            endpoint = bench.deploy("echo", name=f"killed-{number}")
            assert bench.invoke(endpoint, number) == number
            assert bench.emulator.orphans() == []
            bench.drive.call(endpoint, "delete")
        outcome(self.name, "client killed in a deploy", "the next deploy takes over")

    def test_a_killed_client_repeats_no_call(self, bench, outcome):
        """A ``kill -9`` while a call runs: it ran once, and the journal knows of it."""
        log, gate = bench.log(), bench.folder / "gate"
        endpoint = bench.deploy("wait_for", name="killed")
        with self.client(
            bench, "call", name="killed", gate=str(gate), log=str(log.path)
        ) as process:
            bench.until(log.lines, "the call to run")
            process.send_signal(signal.SIGKILL)
        gate.touch()
        bench.until(lambda: len(log.lines()) > 1 or _quiet(bench, endpoint), "the call to end")
        assert log.lines().count("started") == 1
        bench.drive.call(endpoint, "delete")
        assert bench.emulator.orphans() == []
        outcome(self.name, "client killed in a call", "ran once")

    @contextmanager
    def client(self, bench, use: str, *, name: str, **more: str):
        """Run another process in the same project, with the same journal."""
        given: dict[str, Any] = {
            "provider": bench.provider,
            "app": APP,
            "root": str(bench.project.root),
            "module": MODULE,
            "options": dict(bench.options),
            "environ": {**bench.environ, "GPUHUB_STATE_DIR": str(bench.folder / "state")},
            "settings": {**bench.defaults, "name": name},
            **more,
        }
        with subprocess.Popen(
            [sys.executable, str(KILLED), json.dumps(given), use],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            try:
                yield process
            finally:
                process.kill()


def _quiet(bench, endpoint) -> bool:
    status = bench.drive.call(endpoint, "status")
    return not (status.queue_depth or status.in_flight)


class TestBaseten(Drill):
    """Baseten's emulator."""

    name = "baseten"
    adapter = "gpuhub_baseten"


class TestBeam(Drill):
    """Beam's emulator."""

    name = "beam"
    adapter = "gpuhub_beam"


@pytest.mark.skipif(
    importlib.util.find_spec("modal") is None,
    reason="needs modal: .venv-modal/bin/python -m pytest tests/drill -k Modal",
)
class TestModal(Drill):
    """Modal's emulator, which its SDK reaches from this process."""

    name = "modal"
    adapter = "gpuhub_modal"


class TestReplicate(Drill):
    """Replicate's emulator."""

    name = "replicate"
    adapter = "gpuhub_replicate"


class TestRunPod(Drill):
    """RunPod's emulator."""

    name = "runpod"
    adapter = "gpuhub_runpod"
