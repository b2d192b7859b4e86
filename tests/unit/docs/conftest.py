"""The code blocks of README and docs, as files of a temporary project."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
PAGES = (
    REPOSITORY / "README.md",
    *(
        path
        for path in sorted((REPOSITORY / "docs").rglob("*.md"))
        if "decisions" not in path.parts and path.name != "changelog.md"
    ),
)
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


class Project:
    """A temporary project that holds the files of a page."""

    def __init__(self, page: Path, root: Path) -> None:
        self.page = page
        self.root = root
        self.blocks = list(blocks(page))
        (root / "gpuhub.toml").write_text('app = "demo"\nprovider = "mock"\n', "utf-8")
        for block in self.blocks:
            if block.file:
                (root / block.file).write_text(block.text, "utf-8")

    def script(self) -> str:
        """Give the blocks that are no files as one program, each on its lines of the page."""
        lines: list[str] = []
        for block in self.blocks:
            if block.language == "python" and not block.file:
                lines += [""] * (block.line - 1 - len(lines))
                lines += block.text.splitlines()
        return "\n".join(lines)

    def run(self, *arguments: str) -> str:
        """Run Python with these arguments in the project and give what it printed."""
        ended = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        said = f"{self.page.name}: {' '.join(arguments)}\n{ended.stdout}\n{ended.stderr}"
        assert ended.returncode == 0, said
        return ended.stdout


@pytest.fixture(params=PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """Give the project of each page in turn."""
    return Project(request.param, tmp_path)


@pytest.fixture
def blocks_of() -> Callable[[str], list[Block]]:
    """Give a function that reads the blocks of a page by its path in the repository."""
    return lambda path: list(blocks(REPOSITORY / path))
