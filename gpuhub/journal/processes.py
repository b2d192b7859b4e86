"""Whether the process that wrote a row still lives, although process ids are used again."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Process"]

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this machine.

    Attributes:
        pid: Its id.
        started: When it started, in the system's own words, which differ for each process that
            ever had this id; empty where the system does not tell.
    """

    pid: int
    started: str

    @classmethod
    def current(cls) -> Process:
        """The calling process."""
        pid = os.getpid()
        return cls(pid, _started(pid) or "")

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; true where the system does not tell."""
        return _started(self.pid) == self.started


def _started(pid: int) -> str | None:
    """When a process started; ``None`` without such a process, empty where it is not known."""
    if (_PROC / "self/stat").exists():
        return _started_by_proc(pid)
    return _started_by_ps(pid)


def _started_by_proc(pid: int) -> str | None:
    try:
        facts = (_PROC / f"{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name comes before, in parentheses, and may hold spaces and parentheses.
    state, *numbers = facts.rpartition(b")")[2].split()
    if state in {b"Z", b"X"}:  # dead, and its parent has not looked yet
        return None
    # Clock ticks since the start of the machine, so the name of that start belongs to it.
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {numbers[18].decode()}"


def _started_by_ps(pid: int) -> str | None:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command and a number
            command,
            capture_output=True,
            check=False,
            text=True,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
        )
    except OSError:
        return ""
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()
