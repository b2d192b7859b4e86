"""Files and functions stay small."""

from __future__ import annotations

import ast
from pathlib import Path
from statistics import median

FILE_LINES = 400
FUNCTION_LINES = 50
TYPICAL_FILE_LINES = 120
TYPICAL_FUNCTION_LINES = 8

Definition = ast.FunctionDef | ast.AsyncFunctionDef


def length(function: Definition) -> int:
    """Count the lines of a function without its docstring and decorators."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def functions(sources: list[Path], root: Path) -> dict[str, int]:
    """Give the length of every function by its place."""
    found = {}
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Definition):
                found[f"{path.relative_to(root)}:{node.lineno} {node.name}"] = length(node)
    return found


def test_files_are_short(sources, root):
    """No file is above 400 lines, and most are far below."""
    lengths = {path.relative_to(root): len(path.read_text().splitlines()) for path in sources}
    assert not {path: lines for path, lines in lengths.items() if lines > FILE_LINES}
    assert median(lines for lines in lengths.values() if lines) <= TYPICAL_FILE_LINES


def test_functions_are_short(sources, root):
    """No function is above 50 lines, and most are far below."""
    lengths = functions(sources, root)
    assert not {place: lines for place, lines in lengths.items() if lines > FUNCTION_LINES}
    assert median(lengths.values()) <= TYPICAL_FUNCTION_LINES


def test_lengths_leave_out_the_docstring():
    """A docstring does not count; the signature and the body do."""
    source = (
        '@wraps\ndef answer(\n    number,\n):\n    """One.\n\n    Two.\n    """\n    return 1\n'
    )
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    assert length(function) == 4
