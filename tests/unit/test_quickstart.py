"""The examples run: from any folder, without a network, and again."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
BEST_HITS = {
    "finding fish with an echo": "Dolphins find fish with clicks and their echoes.",
    "how bread dough rises": "Bread rises because yeast turns sugar into gas.",
    "deep voices in a choir": "A choir usually has four voices: soprano, alto, tenor and bass.",
}


@functools.cache
def without_network() -> tuple[str, ...]:
    """Give the command that cuts a program off from every network, where that is permitted."""
    command = ("unshare", "--map-root-user", "--net")
    if shutil.which(command[0]) is None:
        return ()
    permitted = subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if permitted.returncode == 0 else ()


def run(name: str, folder: Path, *, network: bool = False) -> str:
    """Run an example from a folder of its own, with its state there, and give what it printed."""
    before = listing()
    ended = subprocess.run(
        [*(() if network else without_network()), sys.executable, "-W", "error", EXAMPLES / name],
        cwd=folder,
        env={**os.environ, "GPUHUB_STATE_DIR": str(folder / "state"), "COLUMNS": "120"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    assert listing() == before
    return ended.stdout


def listing() -> set[Path]:
    """Give the files of the examples' folder, caches left out."""
    return {path for path in EXAMPLES.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_quickstart_shows_everything(tmp_path: Path) -> None:
    """Each step says what happened, the same when it is run again."""
    for _ in range(2):
        check_quickstart(run("quickstart.py", tmp_path))


def check_quickstart(printed: str) -> None:
    """Check the key lines in order."""
    lines = iter(printed.splitlines())
    for wanted in (
        r"1 plan.*nothing is sent",
        r"gpu +approximate .*A100 means A100-80GB here",
        r"scaling\.max_workers +exact",
        r"timeout +pinned-default",
        r"version \d+, workers: 0$",
        r"mock://quickstart-embed/\S+ is (queued|running|succeeded)$",  # as fast as we ask
        r"cold start 6\.\d s of the mock's time, \d\.\d s of yours$",
        r"local result == remote result: True$",
        r"320 sentences",
        r"320/320",
        *(f"{re.escape(query)}$|{re.escape(hit)}$" for query, hit in BEST_HITS.items()),
        r"5 stream",
        r"nests",
        r"now +workers: [0-4]$",  # none if more than 1.5 s have passed
        r"later +workers: 0$",
        r"called cold start 6\.\d s",
        r"same vectors: False$",
        r"same vectors: True$",
        r"\d workers, \d+ s billed",
        r'provider = "mock"',
    ):
        assert any(re.search(wanted, line) for line in lines), f"{wanted}\n{printed}"
    for hit in BEST_HITS.values():
        assert re.search(rf"0\.\d\d  {re.escape(hit)}", printed)


def test_the_transcriber_keeps_its_model(tmp_path: Path) -> None:
    """Two calls are answered by one worker, which loaded its model once."""
    printed = run("transcriber.py", tmp_path)
    assert "Transcript(text='hello', seconds=5.0)" in printed
    assert "idle=1" in printed


def test_the_web_application_answers(tmp_path: Path) -> None:
    """The URL of the endpoint serves the application."""
    printed = run("webapp.py", tmp_path, network=True)
    assert re.search(r'^GET http://127\.0\.0\.1:\d+/gpu -> \{"hello": "gpu"\}$', printed)
