"""Many jobs at once, and many at once in one worker."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.adapters.waiting import until

NOTING = """
import asyncio, os
async def handler(job):
    with open(job["input"]["log"], "ab", buffering=0) as log:
        log.write(b"%d\\n" % job["input"]["number"])
    await asyncio.sleep(0)
    return job["input"]["number"]
"""
TOGETHER = """
import asyncio
inside, most = 0, 0
async def handler(job):
    global inside, most
    inside += 1
    most = max(most, inside)
    while most < job["input"]["wanted"]:
        await asyncio.sleep(0.001)
    inside -= 1
    return most
"""


@pytest.mark.slow
def test_500_jobs_are_each_done_once(account, clock, tmp_path):
    """By as many workers as there may be; each job has its own result."""
    log = tmp_path / "log"
    endpoint = account.endpoint(NOTING, concurrency=8, workers={"max": 3})

    def call(number):
        return endpoint.runsync({"number": number, "log": str(log)})["output"]

    with ThreadPoolExecutor(64) as threads:
        assert list(threads.map(call, range(500))) == list(range(500))
    runs = Counter(log.read_text().splitlines())
    assert len(runs) == 500
    assert set(runs.values()) == {1}
    assert endpoint.state.ended == {"COMPLETED": 500}


def test_eight_jobs_at_once_in_one_worker(account, clock):
    """Where its ``concurrency_modifier`` says so."""
    endpoint = account.endpoint(TOGETHER, concurrency=8, workers={"max": 1, "idleTimeout": 600})
    jobs = [endpoint.run({"wanted": 8}) for _ in range(8)]
    clock.advance(3)
    until(lambda: all(endpoint.status(job)["status"] == "COMPLETED" for job in jobs))
    assert {endpoint.status(job)["workerId"] for job in jobs} == {endpoint.workers()[0]["id"]}


def test_one_job_at_a_time_without_it(account, clock):
    """The default of RunPod's loop."""
    endpoint = account.endpoint(TOGETHER, workers={"max": 1, "idleTimeout": 600})
    with ThreadPoolExecutor(8) as threads:
        jobs = list(threads.map(lambda _: endpoint.runsync({"wanted": 1}), range(8)))
    assert {job["output"] for job in jobs} == {1}
