"""The import statements of a module that run when it is imported or when its target is called."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Import", "statements"]

_CATCHES = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_CONDITIONS = frozenset({"version_info", "platform", "implementation", "hexversion"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module.

    Attributes:
        module: Dotted name; empty for ``from . import x``.
        names: What is imported from it; empty for ``import module``.
        level: Number of leading dots.
        line: Line in the file, from 1.
        text: The statement as Python would print it.
    """

    module: str
    names: tuple[str, ...]
    level: int
    line: int
    text: str


def statements(tree: ast.Module, qualname: str = "") -> Iterator[Import]:
    """Yield the imports that will run in the container.

    Left out are those for type checkers only, those guarded by ``except ImportError``, those below
    ``if __name__ == "__main__"`` or a condition on the platform or version, and those inside
    functions other than the target.

    Args:
        tree: The module.
        qualname: The target, whose body counts; empty: no function's does.
    """
    yield from _imports(tree.body, inside=False)
    if qualname:
        for target in _definitions(tree, qualname.split(".")):
            yield from _imports(target.body, inside=True)


def _definitions(tree: ast.AST, parts: list[str]) -> Iterator[Function | ast.ClassDef]:
    """Yield the definitions of a dotted name, wherever in the module's top level they are."""
    for node in _outer_nodes(tree):
        if isinstance(node, Function | ast.ClassDef) and node.name == parts[0]:
            if len(parts) == 1:
                yield node
            else:
                yield from _definitions(node, parts[1:])


def _outer_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield nodes without entering functions and classes."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, Function | ast.ClassDef):
            yield from _outer_nodes(node)


def _imports(body: Iterable[ast.AST], *, inside: bool) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _read(node)
        elif isinstance(node, ast.If):
            yield from _imports(_running_branches(node), inside=inside)
        elif isinstance(node, ast.Try | ast.TryStar) and _is_guarded(node):
            yield from _imports(node.finalbody, inside=inside)
        elif inside or not isinstance(node, Function):
            # Expressions hold no statements, so entering everything else finds each block.
            yield from _imports(_blocks(node), inside=inside)


def _blocks(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield child


def _read(node: ast.Import | ast.ImportFrom) -> Iterator[Import]:
    text = ast.unparse(node)
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, (), 0, node.lineno, text)
        return
    names = tuple(alias.name for alias in node.names)
    yield Import(node.module or "", names, node.level, node.lineno, text)


def _running_branches(node: ast.If) -> list[ast.stmt]:
    names = {_last_name(part) for part in ast.walk(node.test)}
    if "TYPE_CHECKING" in names:
        is_negated = isinstance(node.test, ast.UnaryOp) and isinstance(node.test.op, ast.Not)
        return node.body if is_negated else node.orelse
    if "__name__" in names:
        return node.orelse
    # Written for a Python or system that may not be the container's.
    return [] if names & _CONDITIONS else [*node.body, *node.orelse]


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_guarded(node: ast.Try | ast.TryStar) -> bool:
    for handler in node.handlers:
        caught = [handler.type] if handler.type is not None else []
        if isinstance(handler.type, ast.Tuple):
            caught = handler.type.elts
        if not caught or any(_last_name(kind) in _CATCHES for kind in caught):
            return True
    return False
