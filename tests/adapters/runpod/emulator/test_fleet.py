"""Workers: from zero to the limit and back, replaced, throttled, dead, billed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from gpuhub.testing.emulator import Fault
from gpuhub_runpod.emulator import EmulatorOptions
from tests.adapters.waiting import until

PID = """
import os
async def handler(job):
    return os.getpid()
"""
GATED = """
import asyncio, os
async def handler(job):
    with open(job["input"]["log"], "a") as log:
        log.write("began\\n")
    while not os.path.exists(job["input"]["gate"]):
        await asyncio.sleep(0.005)
    return os.environ.get("RELEASE", "1")
"""


def gated(tmp_path):
    """Give the input of a job that runs until a file appears, and notes its beginning."""
    return {"gate": str(tmp_path / "gate"), "log": str(tmp_path / "log")}


def began(tmp_path):
    """Count the runs that began."""
    log = tmp_path / "log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_no_worker_without_a_job(account, clock):
    """A fresh endpoint costs nothing."""
    endpoint = account.endpoint()
    clock.advance(3600)
    assert endpoint.workers() == []
    assert account.emulator.billed_seconds.total == 0


def test_a_worker_starts_idles_and_stops(account, clock):
    """Billed from the start of its container to its stop, idle time included."""
    endpoint = account.endpoint(workers={"idleTimeout": 20})
    job = endpoint.run()
    assert endpoint.states() == ["INITIALIZING"]
    clock.advance(3)
    endpoint.ended(job)
    assert endpoint.states() == ["IDLE"]
    clock.advance(19)
    assert endpoint.states() == ["IDLE"]
    clock.advance(2)
    assert endpoint.states() == []
    assert account.emulator.billed_seconds.total == pytest.approx(23, abs=0.1)
    clock.advance(3600)
    assert account.emulator.billed_seconds.total == pytest.approx(23, abs=0.1)


def test_active_workers_stay(account, clock):
    """``workers.min`` of them, from the beginning, billed all the time."""
    endpoint = account.endpoint(workers={"min": 2, "max": 3})
    clock.advance(3)
    assert endpoint.states() == ["IDLE", "IDLE"]
    clock.advance(997)
    assert endpoint.states() == ["IDLE", "IDLE"]
    assert account.emulator.billed_seconds.total == pytest.approx(2000, abs=1)
    endpoint.patch(workers={"min": 0})
    assert endpoint.states() == []


def test_waiting_jobs_start_more_workers(account, clock, tmp_path):
    """The first at once, further ones when jobs wait beyond the delay; never above the maximum."""
    endpoint = account.endpoint(GATED, workers={"max": 2})
    jobs = [endpoint.run(gated(tmp_path)) for _ in range(4)]
    assert len(endpoint.workers()) == 1
    clock.advance(3.9)
    assert len(endpoint.workers()) == 1
    clock.advance(0.2)
    assert len(endpoint.workers()) == 2
    clock.advance(60)
    until(lambda: endpoint.states() == ["RUNNING", "RUNNING"])
    until(lambda: began(tmp_path) == 2)
    assert began(tmp_path) == 2
    (tmp_path / "gate").touch()
    assert {endpoint.ended(job)["status"] for job in jobs} == {"COMPLETED"}


def test_counting_requests(account, tmp_path):
    """``REQUEST_COUNT`` wants one worker for each so many jobs, at once."""
    scaling = {"type": "REQUEST_COUNT", "requestCount": 2}
    endpoint = account.endpoint(GATED, scaling=scaling, workers={"max": 5})
    for _ in range(5):
        endpoint.run(gated(tmp_path))
    assert len(endpoint.workers()) == 3


def test_low_priority_starts_nothing(account, clock):
    """Such a job waits until another one brings a worker."""
    endpoint = account.endpoint()
    low = endpoint.run(policy={"lowPriority": True})
    clock.advance(100)
    assert endpoint.workers() == []
    endpoint.runsync()
    assert endpoint.ended(low)["status"] == "COMPLETED"


def test_a_pause(account, clock):
    """``workers.max`` 0: jobs wait, and run when it is raised."""
    endpoint = account.endpoint(workers={"max": 0})
    job = endpoint.run()
    clock.advance(600)
    assert (endpoint.workers(), endpoint.status(job)["status"]) == ([], "IN_QUEUE")
    endpoint.patch(workers={"max": 1})
    clock.advance(3)
    assert endpoint.ended(job)["status"] == "COMPLETED"


def test_a_lower_maximum_stops_surplus_workers(account, clock):
    """Idle ones at once."""
    endpoint = account.endpoint(workers={"min": 3, "max": 3})
    clock.advance(10)
    endpoint.patch(workers={"min": 0, "max": 1})
    assert len(endpoint.workers()) <= 1


def test_without_stock_workers_are_throttled(account, clock):
    """They are listed, take no job and cost nothing, until there are cards."""
    account.emulator.set_stock("AMPERE_24", "NONE")
    endpoint = account.endpoint()
    job = endpoint.run()
    clock.advance(60)
    (worker,) = endpoint.workers()
    assert (worker["status"], worker["gpuTypeId"], worker["startedAt"]) == ("THROTTLED", None, None)
    assert endpoint.send("GET", "health").json()["workers"]["throttled"] == 1
    assert account.emulator.billed_seconds.total == 0
    account.emulator.set_stock("NVIDIA RTX A5000", "LOW")
    clock.advance(3)
    assert endpoint.ended(job)["status"] == "COMPLETED"
    assert endpoint.workers()[0]["gpuTypeId"] == "NVIDIA RTX A5000"


def test_a_start_may_find_no_card_for_a_while(account, clock):
    """The fault ``capacity`` on ``start``."""
    account.emulator.fail(Fault("capacity", delay_s=50), on="start")
    endpoint = account.endpoint()
    job = endpoint.run()
    assert endpoint.states() == ["THROTTLED"]
    clock.advance(53)
    assert endpoint.ended(job)["status"] == "COMPLETED"


def test_a_cold_start_may_take_long(account, clock):
    """The fault ``cold_start`` on ``start``."""
    account.emulator.fail(Fault("cold_start", delay_s=200), on="start")
    endpoint = account.endpoint()
    assert endpoint.runsync(wait=300_000)["delayTime"] == 200_000


def test_a_new_release_replaces_idle_workers_at_once(account, clock):
    """The next job runs on the new one."""
    endpoint = account.endpoint(
        "import os\ndef handler(job):\n    return os.environ['RELEASE']", env={"RELEASE": "1"}
    )
    env = endpoint.made["env"]
    assert endpoint.runsync()["output"] == "1"
    endpoint.patch(env={**env, "RELEASE": "2"})
    assert endpoint.workers() == []
    assert endpoint.runsync()["output"] == "2"
    releases = account.http.get(f"serverless/{endpoint.id}/releases").json()
    assert releases["rollout"] == {
        "inProgress": False,
        "workersOnLatest": 1,
        "workersTotal": 1,
        "percentOnLatest": 100,
    }


def test_a_new_release_lets_busy_workers_finish(account, clock, tmp_path):
    """Their job is not lost, and they take no further one."""
    endpoint = account.endpoint(GATED, workers={"max": 2})
    old = endpoint.run(gated(tmp_path))
    clock.advance(3)
    until(lambda: began(tmp_path) == 1)
    endpoint.patch(env={**endpoint.made["env"], "RELEASE": "2"})
    (worker,) = endpoint.workers()
    assert (worker["isStale"], worker["version"]) == (True, 1)
    rollout = account.http.get(f"serverless/{endpoint.id}/releases").json()["rollout"]
    assert (rollout["inProgress"], rollout["percentOnLatest"]) == (True, 0)
    new = endpoint.run(gated(tmp_path))
    clock.advance(10)
    until(lambda: began(tmp_path) == 2)
    (tmp_path / "gate").touch()
    assert endpoint.ended(old)["output"] == "1"
    assert endpoint.ended(new)["output"] == "2"
    assert [each["isStale"] for each in endpoint.workers()] == [False]


def test_redeploys_while_jobs_run_lose_none(account, clock):
    """Each job is answered once, by some release."""
    endpoint = account.endpoint(
        "import os\ndef handler(job):\n    return os.environ['RELEASE']", env={"RELEASE": "0"}
    )
    jobs = []
    for number in range(5):
        endpoint.patch(env={**endpoint.made["env"], "RELEASE": str(number)})
        jobs += [endpoint.run() for _ in range(4)]
        clock.advance(1)
    clock.advance(10)
    ended = [endpoint.ended(job) for job in jobs]
    assert {job["status"] for job in ended} == {"COMPLETED"}
    assert endpoint.state.ended["COMPLETED"] == len(jobs)


def test_a_release_that_does_not_start_is_unhealthy(account, clock):
    """The fault ``crash`` on ``deploy``; the log says why, and it is not billed."""
    account.emulator.fail("crash", on="deploy")
    endpoint = account.endpoint()
    assert endpoint.states() == ["UNHEALTHY"]
    assert "the build is broken" in endpoint.log()
    clock.advance(100)
    assert account.emulator.billed_seconds.total == 0
    endpoint.patch(image="runpod/queue:py3.12-latest")
    assert endpoint.runsync()["status"] == "COMPLETED"


def test_code_that_ends_again_and_again_is_unhealthy(account, clock):
    """After three ends the worker is given up; it goes on costing, and the job waits."""
    endpoint = account.endpoint("raise SystemExit(3)", workers={"max": 1})
    job = endpoint.run()
    for _ in range(3):
        clock.advance(3)
        until(lambda: not endpoint.state.pending_boot_s() or endpoint.states() == ["UNHEALTHY"])
    until(lambda: endpoint.states() == ["UNHEALTHY"])
    assert endpoint.log().count("container exited with code 3") == 3
    assert endpoint.status(job)["status"] == "IN_QUEUE"
    before = account.emulator.billed_seconds.total
    clock.advance(60)
    assert account.emulator.billed_seconds.total == pytest.approx(before + 60)


@pytest.mark.parametrize(
    ("variable", "starts"), [(131_071, True), (131_072, False)], ids=["at", "above"]
)
def test_a_variable_has_a_limit(account, clock, variable, starts):
    """``NAME=value`` of more than 131,071 bytes cannot be given to a process."""
    name = "LONG_VALUE"
    endpoint = account.endpoint(env={name: "x" * (variable - len(name) - 1)}, workers={"max": 1})
    job = endpoint.run()
    clock.advance(3)
    if starts:
        assert endpoint.ended(job)["status"] == "COMPLETED"
        return
    until(lambda: endpoint.states() == ["UNHEALTHY"])
    assert "argument list too long" in endpoint.log()


def test_all_variables_together_have_a_limit(account, clock):
    """About 2 MiB."""
    env = {f"PART_{number}": "x" * 120_000 for number in range(18)}
    endpoint = account.endpoint(env=env, workers={"max": 1})
    endpoint.run()
    until(lambda: endpoint.states() == ["UNHEALTHY"])


def test_a_worker_that_is_killed_fails_its_job_once(account, clock, tmp_path):
    """The job is neither lost nor run again, and the next one finds a worker."""
    endpoint = account.endpoint(GATED, workers={"max": 1, "idleTimeout": 60})
    job = endpoint.run(gated(tmp_path))
    clock.advance(3)
    until(lambda: began(tmp_path) == 1)
    account.emulator.kill_worker(endpoint.workers()[0]["id"])
    ended = endpoint.status(job)
    assert (ended["status"], ended["error"]) == ("FAILED", "job timed out after 1 retries")
    (tmp_path / "gate").touch()
    assert endpoint.runsync(gated(tmp_path))["status"] == "COMPLETED"
    assert began(tmp_path) == 2


@pytest.mark.parametrize("options", [EmulatorOptions(retries_after_crash=1)])
def test_a_job_may_be_repeated_after_a_crash(account, clock, tmp_path):
    """Where RunPod does that, it is counted, and the second crash is the end."""
    endpoint = account.endpoint(GATED, workers={"max": 1, "idleTimeout": 60})
    job = endpoint.run(gated(tmp_path))
    for run in (1, 2):
        clock.advance(3)
        until(lambda: began(tmp_path) == run, 30)  # noqa: B023 - called inside the loop
        account.emulator.kill_worker(endpoint.workers()[0]["id"])
    assert endpoint.status(job)["status"] == "FAILED"
    assert endpoint.state.ended == {"retried": 1, "FAILED": 1}


def test_a_process_that_dies_by_itself_is_noticed(account, clock, tmp_path):
    """As one that ran out of memory."""
    endpoint = account.endpoint(
        "import os, signal\ndef handler(job):\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    job = endpoint.run()
    clock.advance(3)
    until(lambda: endpoint.status(job)["status"] == "FAILED")
    assert "container exited with code -9" in endpoint.log()


def test_processes_end_with_their_worker(account, clock):
    """And with what they started themselves."""
    endpoint = account.endpoint(
        """
        import subprocess
        child = subprocess.Popen(["sleep", "60"])
        async def handler(job):
            return child.pid
        """,
        workers={"idleTimeout": 5},
    )
    child = endpoint.runsync()["output"]
    os.kill(child, 0)
    clock.advance(30)
    assert endpoint.workers() == []
    until(lambda: is_gone(child))


def is_gone(pid):
    """Whether a process is dead, or a zombie that nobody waited for."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rsplit(")", 1)[1].split()[0] == "Z"


def test_deleting_ends_everything(account, clock):
    """Workers, bill, jobs."""
    endpoint = account.endpoint(PID, workers={"min": 1, "max": 1})
    pid = endpoint.runsync()["output"]
    before = account.emulator.billed_seconds.total
    assert account.http.delete(f"serverless/{endpoint.id}").status_code == 204
    clock.advance(600)
    assert account.emulator.billed_seconds.total == before
    assert account.emulator.orphans() == []
    until(lambda: is_gone(pid))


def test_two_endpoints_of_one_name_are_an_orphan(account):
    """Names are not unique at RunPod: a deploy that was repeated shows."""
    account.endpoint()
    account.endpoint()
    assert account.emulator.orphans() == ["tested"]


def test_idle_endpoints_are_cut(account, clock):
    """After 3 days to 2 workers, after 7 to none, until somebody raises it."""
    endpoint = account.endpoint(workers={"max": 5})
    clock.advance(2 * 86_400)
    endpoint.runsync()
    clock.advance(3 * 86_400 - 60)
    get = account.http.get
    assert get(f"serverless/{endpoint.id}").json()["workers"]["max"] == 5
    clock.advance(120)
    assert get(f"serverless/{endpoint.id}").json()["workers"]["max"] == 2
    clock.advance(4 * 86_400)
    assert get(f"serverless/{endpoint.id}").json()["workers"]["max"] == 0
    endpoint.patch(workers={"max": 1})
    assert endpoint.runsync()["status"] == "COMPLETED"


def test_the_bill_follows_the_workers(account, clock):
    """Seconds of each worker, rounded up, at the list price."""
    endpoint = account.endpoint(workers={"min": 1, "max": 1}, gpu={"pools": ["ADA_24"], "count": 2})
    clock.advance(99.5)
    bill = account.http.get(f"billing/serverless?serverlessId={endpoint.id}").json()
    assert bill["records"][0]["gpuAmount"] == pytest.approx(100 * 2 * 0.00031)
    assert bill["metadata"]["totals"]["totalAmount"] == bill["records"][0]["totalAmount"]


def test_a_worker_asks_to_be_stopped(account):
    """``refresh_worker``: the next job finds a fresh one."""
    endpoint = account.endpoint(
        "import os\ndef handler(job):\n    return {'pid': os.getpid(), 'refresh_worker': True}"
    )
    first, second = endpoint.runsync()["output"]["pid"], endpoint.runsync()["output"]["pid"]
    assert first != second


def test_secrets_are_filled_in(account):
    """``{{ RUNPOD_SECRET_x }}`` becomes its value; an unknown one stays as it is written."""
    account.emulator.secrets["known"] = "v4lue"
    handler = "import os\ndef handler(job):\n    return [os.environ['A'], os.environ['B']]"
    unknown = "{{ RUNPOD_SECRET_unknown }}"
    endpoint = account.endpoint(handler, env={"A": "{{ RUNPOD_SECRET_known }}", "B": unknown})
    assert endpoint.runsync()["output"] == ["v4lue", unknown]
    assert endpoint.made["env"]["A"] == "{{ RUNPOD_SECRET_known }}"


def test_signals_reach_no_other_process(account):
    """Workers are in sessions of their own."""
    endpoint = account.endpoint(PID)
    pid = endpoint.runsync()["output"]
    assert os.getsid(pid) == pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: "exited with code -9" in endpoint.log())
