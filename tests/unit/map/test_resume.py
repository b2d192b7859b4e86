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

from tests.adapters.waiting import until

INPUTS = 2000

APP = """
import os, signal, sys, time
import gpuhub

LOG = os.environ["EXECUTED"]
KILLED_AT = int(os.environ["KILLED_AT"])

@gpuhub.function(idempotent=os.environ.get("IDEMPOTENT") == "1")
def square(number: int) -> int:
    # One write of one short line: complete or absent, whenever the process is killed.
    handle = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{number}\\n".encode())
    os.close(handle)
    if KILLED_AT:
        with open(LOG, "rb") as lines:
            if lines.read().count(b"\\n") >= KILLED_AT:
                os.kill(os.getpid(), signal.SIGKILL)
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


def start(
    project: Path, inputs: int = INPUTS, *, idempotent: bool = False, killed_at: int = 0
) -> subprocess.Popen[str]:
    """Start the program; kill -9 ends it in the middle of a call, after so many calls."""
    environment = {
        **os.environ,
        "EXECUTED": str(project / "executed.txt"),
        "IDEMPOTENT": "1" if idempotent else "0",
        "KILLED_AT": str(killed_at),
    }
    return subprocess.Popen(
        [sys.executable, "squares.py", str(inputs)],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


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
@pytest.mark.timeout(400)
@pytest.mark.parametrize("idempotent", [False, True], ids=["plain", "idempotent"])
def test_a_killed_map_resumes(project, idempotent):
    """2,000 inputs, kill -9 twice, then a run to the end."""
    for count in (300, 900):
        killed = start(project, idempotent=idempotent, killed_at=count)
        output, _ = killed.communicate(timeout=120)
        assert killed.returncode == -signal.SIGKILL, output
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
@pytest.mark.timeout(400)
def test_ctrl_c_ends_a_map_within_two_seconds(project):
    """With calls in flight, and without a traceback out of the pool.

    On a busy machine one of a few times.
    """
    assert any(took_to_end(project) < 2.0 for _ in range(6))


def took_to_end(project: Path) -> float:
    """Press Ctrl-C in the middle of a new map; give the seconds until it has ended."""
    for file in project.glob("run.db*"):
        file.unlink()
    log = project / "executed.txt"
    log.write_bytes(b"")
    with start(project, 10_000_000) as process:
        try:
            until(lambda: process.poll() is not None or log.read_bytes().count(b"\n") > 100, 60)
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
            took = time.monotonic() - sent
        finally:
            process.kill()  # what does not hear Ctrl-C would go on for hours
    assert process.returncode != 0, output
    assert output.count("Traceback") == 1
    assert "KeyboardInterrupt" in output
    return took
