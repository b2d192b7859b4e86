"""Telling whether a process still lives."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gpuhub.journal import processes
from gpuhub.journal.processes import Process


@pytest.fixture(params=["proc", "ps"])
def system(request, monkeypatch):
    """Ask the system both ways, where it has them."""
    if request.param == "ps":
        monkeypatch.setattr(processes, "_PROC", Path("/nonexistent"))
        try:
            subprocess.run(["ps", "-o", "lstart=", "-p", "1"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("no ps here")
    elif not Path("/proc/self/stat").exists():
        pytest.skip("no /proc here")


@pytest.mark.usefixtures("system")
def test_this_process_is_alive():
    """And is told the same each time."""
    this = Process.current()
    assert this.pid == os.getpid()
    assert this.started
    assert this == Process.current()
    assert this.is_alive


@pytest.mark.usefixtures("system")
def test_another_start_is_another_process():
    """Ids are used again."""
    assert not replace(Process.current(), started="at another time").is_alive


@pytest.mark.usefixtures("system")
def test_a_dead_process_is_dead():
    """Before its parent looks, and after."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = processes._started(child.pid)
    assert started
    assert Process(child.pid, started).is_alive
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not Process(child.pid, started).is_alive
    child.communicate()
    assert not Process(child.pid, started).is_alive


def test_a_name_with_parentheses_does_not_confuse(tmp_path, monkeypatch):
    """The name of the command stands before the facts and is the user's choice."""
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    (tmp_path / "self").mkdir()
    (tmp_path / "self/stat").touch()
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("boot\n")
    (tmp_path / "7").mkdir()
    numbers = " ".join(str(number) for number in range(4, 30))
    (tmp_path / "7/stat").write_text(f"7 (a) Z 1 (b) S {numbers}")
    assert processes._started(7) == "boot 22"


def test_without_any_answer_a_process_counts_as_alive(tmp_path, monkeypatch):
    """Two owners would run items twice; a dead owner is only a nuisance."""
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    this = Process.current()
    assert this.started == ""
    assert this.is_alive
