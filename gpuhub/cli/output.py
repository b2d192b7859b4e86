"""What a verb prints: one JSON document for programs, or tables and text for people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["Output", "pairs", "styled", "table"]

_PIPED_WIDTH = 140

FIDELITY_STYLES = {
    "exact": "green",
    "pinned-default": "dim",
    "approximate": "yellow",
    "emulated": "cyan",
    "unsupported": "bold red",
    "native": "green",
}


class Output:
    """Standard output and standard error of one run.

    Keeps the streams it finds: what the user's code prints meanwhile goes to standard error, see
    :meth:`only`, so that results can be piped.

    Args:
        json: Print JSON documents instead of text.
        verbose: Print what the library logs, and tracebacks.

    Attributes:
        console: For what was asked for.
        errors: For progress, questions and warnings: standard error.
    """

    def __init__(self, *, json: bool = False, verbose: bool = False) -> None:
        self.json = json
        self.verbose = verbose
        self._results = sys.stdout
        self.console = _console(sys.stdout)
        self.errors = _console(sys.stderr)

    @property
    def shows_progress(self) -> bool:
        """Whether somebody watches: standard error is a terminal and no program reads."""
        return self.errors.is_terminal and not self.json

    def result(self, document: Any, *shown: RenderableType) -> None:
        """Print the one result of a verb.

        Args:
            document: What ``--json`` prints.
            shown: What people see instead.
        """
        if self.json:
            self.text(json.dumps(document, indent=2, default=str))
            return
        for each in shown:
            self.console.print(each)

    def line(self, document: Any, shown: RenderableType) -> None:
        """Print one of many results: a JSON document on one line, or text. Not buffered."""
        if self.json:
            self.text(json.dumps(document, default=str))
        else:
            self.console.print(shown, soft_wrap=True)
            self._results.flush()

    def text(self, text: str) -> None:
        """Print one or more lines exactly as they are."""
        self._results.write(f"{text}\n")
        self._results.flush()

    @contextmanager
    def only(self) -> Iterator[None]:
        """Keep standard output for results: whatever else prints there prints to standard error."""
        with redirect_stdout(sys.stderr):
            yield

    def note(self, text: str) -> None:
        """Tell people something beside the result; programs are not told."""
        if not self.json:
            self.errors.print(Text(text), soft_wrap=True)

    def warn(self, text: str) -> None:
        """Warn people."""
        if not self.json:
            self.errors.print(Text.assemble(("warning: ", "bold yellow"), text), soft_wrap=True)


def _console(stream: TextIO) -> Console:
    """A console that takes everything literally: names and values may hold brackets."""
    fixed = None if stream.isatty() or "COLUMNS" in os.environ else _PIPED_WIDTH
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=fixed)


def table(*columns: str, rows: Iterable[Sequence[RenderableType]], whole: int = 1) -> Table:
    """A plain table; long cells are folded, never cut.

    Args:
        columns: Headings.
        rows: Cells, text or renderable.
        whole: How many columns at the left are not folded: names that people copy.
    """
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        made.add_column(column, overflow="fold", no_wrap=number < whole)
    for row in rows:
        made.add_row(*[Text(cell) if isinstance(cell, str) else cell for cell in row])
    return made


def pairs(facts: Iterable[tuple[str, RenderableType]]) -> Table:
    """Names and values below each other."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in facts:
        made.add_row(name, Text(value) if isinstance(value, str) else value)
    return made


def styled(word: str) -> Text:
    """A fidelity or level in its colour."""
    return Text(word, style=FIDELITY_STYLES.get(word, ""))
