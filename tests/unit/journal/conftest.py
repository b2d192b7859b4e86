"""A journal in a folder of its own, and other processes that use it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from gpuhub.journal import Journal

Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the test's journal will be."""
    return tmp_path / "state" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    """Give a journal whose file does not exist yet."""
    opened = Journal(path)
    yield opened
    opened.close()


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Start a program that gets the given arguments; killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        for stream in _streams(process):
            stream.close()
        process.wait()


def _streams(process: subprocess.Popen[str]) -> list[IO[str]]:
    return [stream for stream in (process.stdin, process.stdout) if stream is not None]
