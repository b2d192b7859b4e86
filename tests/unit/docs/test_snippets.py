"""Every snippet of README and docs runs: a page's blocks are files and one program."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gpuhub.settings import load_settings

pytestmark = pytest.mark.timeout(600)  # the commands of a page are many processes

REPOSITORY = Path(__file__).parents[3]
COMMAND = ("-c", "from gpuhub.cli import main; main()")
_BLOCK = re.compile(
    r"(?:^<!-- file: (?P<file>\S+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        language: Word after the fence.
        text: What is inside.
        file: Name of the file that it is, from a comment above the fence; empty: none.
        line: Line of the page where the text begins, from 1.
    """

    language: str
    text: str
    file: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """Give the fenced blocks of a page in order."""
    content = page.read_text("utf-8")
    for found in _BLOCK.finditer(content):
        line = content.count("\n", 0, found.start("text")) + 1
        yield Block(found["language"], found["text"], found["file"] or "", line)


def script(page: Path) -> str:
    """Give the Python that is no file as one program, each block on its lines of the page."""
    lines: list[str] = []
    for block in blocks(page):
        if block.language == "python" and not block.file:
            lines += [""] * (block.line - 1 - len(lines))
            lines += block.text.splitlines()
    return "\n".join(lines)


def programs(page: Path) -> list[str]:
    """Give the files of a page that are programs by themselves."""
    return [block.file for block in blocks(page) if block.file and "__main__" in block.text]


def test_files(page: Path) -> list[str]:
    """Give the files of a page that are tests."""
    return [block.file for block in blocks(page) if block.file.startswith("test_")]


test_files.__test__ = False  # type: ignore[attr-defined]


def commands(page: Path) -> list[list[str]]:
    """Give the `gpuhub` commands of a page, split as a shell does."""
    return [
        shlex.split(line.removeprefix("$ gpuhub "))
        for block in blocks(page)
        if block.language == "console"
        for line in block.text.splitlines()
        if line.startswith("$ gpuhub ")
    ]


def settings(page: Path) -> list[Block]:
    """Give the TOML of a page."""
    return [block for block in blocks(page) if block.language == "toml"]


def pages_with(what: Callable[[Path], Any]) -> pytest.MarkDecorator:
    """Run a test for each page that has something of a kind; there is at least one."""
    everything = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    ours = [each for each in everything if "decisions" not in each.parts and what(each)]
    assert ours
    return pytest.mark.parametrize(
        "page", ours, ids=[page.relative_to(REPOSITORY).as_posix() for page in ours]
    )


@pytest.fixture
def project(page: Path, tmp_path: Path) -> Path:
    """Give a project with the files of a page."""
    (tmp_path / "gpuhub.toml").write_text('app = "demo"\nprovider = "mock"\n', "utf-8")
    for block in blocks(page):
        if block.file:
            (tmp_path / block.file).parent.mkdir(exist_ok=True)
            (tmp_path / block.file).write_text(block.text, "utf-8")
    return tmp_path


def run(project: Path, *arguments: str) -> str:
    """Run Python in a project and give what it printed."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=180,
        check=False,
    )
    assert ended.returncode == 0, f"{' '.join(arguments)}\n{ended.stdout}"
    return ended.stdout


@pages_with(lambda page: script(page) or programs(page))
def test_python_blocks_run_in_order(page: Path, project: Path) -> None:
    """A page's Python, read from the top, is a program that works."""
    (project / "page.py").write_text(script(page), "utf-8")
    for program in [*programs(page), "page.py"]:
        run(project, "-W", "error", program)


@pages_with(test_files)
def test_test_files_pass(page: Path, project: Path) -> None:
    """A block that is a test file passes under pytest, with the plugin that gpuhub ships."""
    printed = run(project, "-m", "pytest", "-q", "-W", "error", *test_files(page))
    assert " passed" in printed
    assert "skipped" not in printed


@pages_with(settings)
def test_toml_blocks_are_settings(page: Path, tmp_path: Path) -> None:
    """A block of TOML is a project file that gpuhub reads, or another package's pyproject."""
    for number, block in enumerate(settings(page)):
        table = tomllib.loads(block.text)
        if "project" in table:
            assert "gpuhub.adapters" in table["project"]["entry-points"]
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        name = "pyproject.toml" if "tool" in table else "gpuhub.toml"
        (folder / name).write_text(block.text, "utf-8")
        check_read(folder, table.get("tool", {}).get("gpuhub", table))


def check_read(folder: Path, table: dict[str, Any]) -> None:
    """Check that the settings in a folder are read, under each of their profiles."""
    for profile in [None, *table.get("profiles", {})]:
        found = load_settings(folder, environ={}, profile=profile)
        assert found.file is not None
        assert found.provider == table.get("provider", "mock")


@pages_with(commands)
def test_commands_run(page: Path, project: Path) -> None:
    """A line `$ gpuhub …` of a console block works in the project of its page."""
    for command in commands(page):
        run(project, *COMMAND, *command)
