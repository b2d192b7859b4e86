"""What the source of the emulator uses of Modal's protocol, read from its text."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import gpuhub_modal.emulator

__all__ = ["built_messages", "read_requests", "rpc_names"]

_FOLDER = Path(gpuhub_modal.emulator.__file__).parent
_PB = frozenset({"pb", "_pb"})


def _trees() -> Iterator[ast.Module]:
    for path in sorted(_FOLDER.rglob("*.py")):
        yield ast.parse(path.read_text("utf-8"))


def built_messages() -> dict[str, set[str]]:
    """Messages that are made by name, with the fields they are given."""
    found: dict[str, set[str]] = defaultdict(set)
    for tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (name := _message_name(node.func)):
                found[name] |= {each.arg for each in node.keywords if each.arg}
    return dict(found)


def read_requests() -> dict[str, set[str]]:
    """RPCs that are answered, with the fields of their request that are read."""
    found: dict[str, set[str]] = {}
    for tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.AsyncFunctionDef) and (name := _rpc_name(node)):
                found[name] = set(_read_fields(node))
    return found


def rpc_names() -> set[str]:
    """RPCs that are answered."""
    return set(read_requests())


def _message_name(node: ast.expr) -> str:
    """``AppLayout`` of ``self._site.pb.AppLayout``; a nested one with its dots."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        if node.attr in _PB:
            return ".".join(reversed(parts))
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed(parts)) if isinstance(node, ast.Name) and node.id in _PB else ""


def _rpc_name(function: ast.AsyncFunctionDef) -> str:
    for node in function.decorator_list:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "rpc":
            assert isinstance(node.args[0], ast.Constant)
            return str(node.args[0].value)
    return ""


def _read_fields(function: ast.AsyncFunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and node.attr.islower() and _is_message(node.value):
            yield node.attr


def _is_message(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id == "message"
    return isinstance(node, ast.Attribute) and node.attr == "message"
