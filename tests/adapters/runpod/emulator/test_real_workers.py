"""The bundle in RunPod's own worker loop: a part of the contract suite, and what needs more jobs.

The processes run in real time with the ``runpod`` package of an environment of its own.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

import gpuhub_runpod
from gpuhub.testing.contract.fixtures import Fixtures
from gpuhub.testing.contract.invocations import Invocations
from gpuhub.testing.contract.streams import Streams
from gpuhub.testing.contract.subject import Subject
from gpuhub_runpod.emulator import EmulatorOptions, RunPodEmulator, SdkMissing, sdk_python
from tests.adapters.blocking_only import BlockingOnly
from tests.adapters.needed import present
from tests.adapters.waiting import until

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(180)]

SDK = EmulatorOptions(workers="sdk")
WHO = """
import os, runpod
async def handler(job):
    return [runpod.__version__, runpod.__file__, os.getpid()]
"""
NOTING = """
async def handler(job):
    with open(job["input"]["log"], "ab", buffering=0) as log:
        log.write(b"%d\\n" % job["input"]["number"])
    return job["input"]["number"]
"""
TOGETHER = """
import asyncio
inside, most = 0, 0
async def handler(job):
    global inside, most
    inside += 1
    most = max(most, inside)
    while most < 8:
        await asyncio.sleep(0.001)
    inside -= 1
    return most
"""
SLOW = """
import asyncio
from pathlib import Path
async def handler(job):
    with open(job["input"]["log"], "ab", buffering=0) as log:
        log.write(b"began\\n")
        try:
            while not Path(job["input"]["gate"]).exists():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            log.write(b"cancelled\\n")
            raise
    return "done"
"""


@pytest.fixture(scope="module", autouse=True)
def _python():
    """Real workers need their environment; in CI it must be there."""
    present(sdk_python, SdkMissing)


@pytest.fixture
def options():
    """Real workers, for the tests with endpoints of a few lines."""
    return SDK


def began(tmp_path):
    """Count the runs of ``SLOW`` that began."""
    log = tmp_path / "log"
    return log.read_text().count("began\n") if log.exists() else 0


class TestContract(BlockingOnly, Invocations, Streams, Fixtures):
    """What calls and streams promise, in the blocking mode: the worker does not see the others."""

    adapter = Subject(gpuhub_runpod, lambda: RunPodEmulator(SDK))


def test_it_is_the_real_package(account):
    """Not the stand-in of the quick workers."""
    version, place, _ = account.endpoint(WHO).runsync()["output"]
    assert version.startswith("1.")
    assert "standin" not in place


def test_jobs_are_each_done_once(account, clock, tmp_path):
    """Many at a time, by more than one worker."""
    log = tmp_path / "log"
    endpoint = account.endpoint(NOTING, concurrency=100, workers={"max": 2, "idleTimeout": 600})

    def call(number):
        return endpoint.runsync({"number": number, "log": str(log)})["output"]

    with ThreadPoolExecutor(64) as threads:
        assert list(threads.map(call, range(500))) == list(range(500))
    runs = Counter(log.read_text().splitlines())
    assert (len(runs), set(runs.values())) == (500, {1})


def test_eight_jobs_at_once_in_one_worker(account, clock):
    """As its ``concurrency_modifier`` says."""
    endpoint = account.endpoint(TOGETHER, concurrency=8, workers={"max": 1, "idleTimeout": 600})
    jobs = [endpoint.run() for _ in range(8)]
    clock.advance(3)
    until(lambda: all(endpoint.status(job)["status"] == "COMPLETED" for job in jobs), 60)
    assert len({endpoint.status(job)["workerId"] for job in jobs}) == 1


def test_a_killed_worker_fails_its_job_once(account, clock, tmp_path):
    """The whole group is gone, its heartbeat too; the next job finds a fresh worker."""
    given = {"gate": str(tmp_path / "gate"), "log": str(tmp_path / "log")}
    endpoint = account.endpoint(SLOW, concurrency=4, workers={"max": 1, "idleTimeout": 600})
    job = endpoint.run(given)
    clock.advance(3)
    until(lambda: began(tmp_path) == 1, 60)
    account.emulator.kill_worker(endpoint.workers()[0]["id"])
    assert endpoint.status(job)["status"] == "FAILED"
    (tmp_path / "gate").touch()
    assert endpoint.runsync(given)["output"] == "done"
    assert began(tmp_path) == 2


def test_a_cancelled_job_is_stopped_in_the_worker(account, clock, tmp_path):
    """Through the stop channel; an async handler sees it."""
    given = {"gate": str(tmp_path / "gate"), "log": str(tmp_path / "log")}
    endpoint = account.endpoint(SLOW, concurrency=4, workers={"max": 1, "idleTimeout": 600})
    job = endpoint.run(given)
    clock.advance(3)
    until(lambda: began(tmp_path) == 1, 60)
    assert endpoint.send("POST", f"cancel/{job}").json()["status"] == "CANCELLED"
    until(lambda: "cancelled" in (tmp_path / "log").read_text(), 60)


def test_a_redeploy_lets_a_running_job_finish(account, clock, tmp_path):
    """On the old worker, while a new one takes the next job."""
    given = {"gate": str(tmp_path / "gate"), "log": str(tmp_path / "log")}
    endpoint = account.endpoint(SLOW, concurrency=4, workers={"max": 2, "idleTimeout": 600})
    old = endpoint.run(given)
    clock.advance(3)
    until(lambda: began(tmp_path) == 1, 60)
    endpoint.patch(env={**endpoint.made["env"], "RELEASE": "2"})
    new = endpoint.run(given)
    clock.advance(10)
    until(lambda: began(tmp_path) == 2, 60)
    (tmp_path / "gate").touch()
    ended = [endpoint.ended(job) for job in (old, new)]
    assert [job["output"] for job in ended] == ["done", "done"]
    assert ended[0]["workerId"] != ended[1]["workerId"]


def test_a_worker_pings(account):
    """Its heartbeat is a process of its own."""
    endpoint = account.endpoint(WHO)
    endpoint.runsync()
    (worker,) = endpoint.state.workers.values()
    until(lambda: worker.pinged_at is not None, 60)
    assert account.emulator.worker_requests.of("ping")
