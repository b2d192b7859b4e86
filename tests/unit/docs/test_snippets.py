"""Every snippet of README and docs runs: a page's blocks are files and one program."""

from __future__ import annotations

import shlex
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from gpuhub.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = ("-c", "from gpuhub.cli import main; main()")


def test_python_blocks_run_in_order(project: Any) -> None:
    """A page's Python, read from the top, is a program that works."""
    script = project.script()
    programs = [block.file for block in project.blocks if block.file and "__main__" in block.text]
    if not script and not programs:
        pytest.skip("the page has no program")
    if script:
        (project.root / "page.py").write_text(script, "utf-8")
        programs.append("page.py")
    for program in programs:
        project.run("-W", "error", program)


def test_test_files_pass(project: Any) -> None:
    """A block that is a test file passes under pytest, with the plugin that gpuhub ships."""
    files = [block.file for block in project.blocks if block.file.startswith("test_")]
    if not files:
        pytest.skip("the page has no tests")
    printed = project.run("-m", "pytest", "-q", "-W", "error", *files)
    assert " passed" in printed


def test_toml_blocks_are_settings(project: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A block of TOML is a project file that gpuhub reads, or another package's pyproject."""
    found = [block for block in project.blocks if block.language == "toml"]
    if not found:
        pytest.skip("the page has no TOML")
    for block in found:
        table = tomllib.loads(block.text)
        folder = tmp_path_factory.mktemp("settings")
        if "project" in table:
            assert "gpuhub.adapters" in table["project"]["entry-points"]
            continue
        name = "pyproject.toml" if "tool" in table else "gpuhub.toml"
        (folder / name).write_text(block.text, "utf-8")
        _check_read(folder, table.get("tool", {}).get("gpuhub", table))


def _check_read(folder: Path, table: dict[str, Any]) -> None:
    for profile in [None, *table.get("profiles", {})]:
        settings = load_settings(folder, environ={}, profile=profile)
        assert settings.file is not None
        assert settings.provider == table.get("provider", "mock")


def test_commands_run(project: Any) -> None:
    """A line `$ gpuhub …` of a console block works in the project of its page."""
    commands = [
        shlex.split(line.removeprefix("$ gpuhub "))
        for block in project.blocks
        if block.language == "console"
        for line in block.text.splitlines()
        if line.startswith("$ gpuhub ")
    ]
    if not commands:
        pytest.skip("the page has no commands")
    for command in commands:
        project.run(*COMMAND, *command)
