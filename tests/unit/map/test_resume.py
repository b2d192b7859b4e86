"""A map that is killed in the middle goes on where it was: nothing lost, nothing run twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

INPUTS = 2000

APP = """
import os, sys, time
import gpuhub

LOG = os.environ["EXECUTED"]

@gpuhub.function(idempotent=os.environ.get("IDEMPOTENT") == "1")
def square(number: int) -> int:
    # One write of one short line: complete or absent, whenever the process is killed.
    handle = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{number}\\n".encode())
    os.close(handle)
    time.sleep(0.002)
    return number * number

def main():
    square.deploy()
    results = square.map(
        range(int(sys.argv[1])), concurrency=16, journal="run.db", return_exceptions=True
    )
    with open("results.jsonl", "w") as file:
        for result in results:
            file.write(repr(result if isinstance(result, int) else type(result).__name__) + "\\n")
            file.flush()
    print("finished")

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def project(tmp_path):
    """A project on the mock, its function counting its own executions."""
    (tmp_path / "squares.py").write_text(APP)
    (tmp_path / "gpuhub.toml").write_text(
        'app = "squares"\nprovider = "mock"\n[providers.mock]\nmode = "thread"\n'
    )
    return tmp_path


def start(project: Path, *, idempotent: bool) -> subprocess.Popen[str]:
    """Start the program."""
    environment = {
        **os.environ,
        "EXECUTED": str(project / "executed.txt"),
        "IDEMPOTENT": "1" if idempotent else "0",
    }
    return subprocess.Popen(
        [sys.executable, "squares.py", str(INPUTS)],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kill_after(process: subprocess.Popen[str], log: Path, count: int) -> None:
    """Kill it, children included, once so many calls have run."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"ended too early: {process.communicate()[0]}")
        if log.exists() and log.read_bytes().count(b"\n") >= count:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    pytest.fail("the map did not get far enough")


def executions(project: Path) -> Counter[int]:
    """Count how often each input ran."""
    return Counter(int(line) for line in (project / "executed.txt").read_text().split())


def results(project: Path) -> list[int | str]:
    """Read the results in the order they came."""
    return [
        json.loads(line.replace("'", '"'))
        for line in (project / "results.jsonl").read_text().splitlines()
    ]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("idempotent", [False, True], ids=["plain", "idempotent"])
def test_a_killed_map_resumes(project, idempotent):
    """2,000 inputs, kill -9 twice, then a run to the end."""
    for count in (300, 900):
        kill_after(start(project, idempotent=idempotent), project / "executed.txt", count)
    output, _ = (process := start(project, idempotent=idempotent)).communicate(timeout=120)
    assert process.returncode == 0, output

    found, ran = results(project), executions(project)
    assert len(found) == INPUTS
    unknown = [at for at, value in enumerate(found) if value == "OutcomeUnknown"]
    assert all(value == at * at for at, value in enumerate(found) if at not in unknown)
    again = [number for number, times in ran.items() if times > 1]
    if idempotent:
        assert unknown == []
        assert set(ran) == set(range(INPUTS))
        assert len(again) <= 2 * 16 * 2
    else:
        assert again == []
        # Two kills, sixteen in flight each; that many at the most are in doubt.
        assert 0 < len(unknown) <= 2 * 16
        assert set(range(INPUTS)) - set(ran) <= set(unknown)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_ctrl_c_ends_a_map_within_two_seconds(project):
    """With calls in flight, and without a traceback out of the pool."""
    process = start(project, idempotent=False)
    deadline = time.monotonic() + 60
    log = project / "executed.txt"
    while not (log.exists() and log.read_bytes().count(b"\n") > 100):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sent = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert time.monotonic() - sent < 2.0
    assert process.returncode != 0
    assert output.count("Traceback") == 1
    assert "KeyboardInterrupt" in output
