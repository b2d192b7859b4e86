"""Writes the YAML of ``config.yaml``. Pure.

JSON is YAML, but nobody edits it by hand; a library for these few lines would be a dependency of
every user. Block style for mappings and lists; texts are plain where no reader of YAML 1.1 or 1.2
could take them for something else, and quoted with JSON's escapes where they could.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["to_yaml"]

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*\Z")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
# What YAML's double quotes do not take as it is: controls, breaks of lines, byte order marks.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def to_yaml(document: Mapping[str, Any], comment: str = "") -> str:
    """Write a mapping of JSON values.

    Args:
        document: What is written, in its own order; not empty.
        comment: Lines above it.
    """
    lines = [f"# {line}" for line in comment.splitlines()]
    return "\n".join([*lines, *_lines(document, "")]) + "\n"


def _lines(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _entry(f"{indent}{_text(name)}:", inner, indent)
        return
    for inner in value:
        if _is_block(inner):
            first, *rest = _lines(inner, f"{indent}  ")
            yield f"{indent}- {first.lstrip()}"
            yield from rest
        else:
            yield f"{indent}- {_scalar(inner)}"


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    if _is_block(value):
        yield head
        yield from _lines(value, f"{indent}  ")
    else:
        yield f"{head} {_scalar(value)}"


def _is_block(value: Any) -> bool:
    return bool(value) and isinstance(value, Mapping | Sequence) and not isinstance(value, str)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)  # numbers, true, false, null, {} and []


def _text(text: str) -> str:
    if _PLAIN.match(text) and text.lower() not in _WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)
