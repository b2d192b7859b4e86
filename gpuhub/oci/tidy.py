"""Installed packages without the traces of when, where and by what they were installed."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import shutil
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

__all__ = ["tidy"]

# Written by installers, not part of the wheel: names, addresses and times of this machine.
_TRACES = {"INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"}
# One line, or the three that stand in where the interpreter's path is long or has spaces.
_INTERPRETER = re.compile(rb"#!(?:/bin/sh\n'''exec' .*\n' '''|[^\n]*python[^\n]*)\n")
_ANY_PYTHON = b"#!/usr/bin/env python3\n"


def tidy(folder: Path) -> None:
    """Make two installs of the same wheels equal, byte for byte. Blocks.

    Args:
        folder: What ``pip install --target`` filled; changed in place.
    """
    for cache in list(folder.rglob("__pycache__")):
        shutil.rmtree(cache)
    (folder / ".lock").unlink(missing_ok=True)
    for trace in folder.glob("*.dist-info/*"):
        if trace.name in _TRACES:
            trace.unlink()
    changed = set(_tidy_scripts(folder))
    for record in folder.glob("*.dist-info/RECORD"):
        _replace(record, _tidy_record(record.read_text("utf-8"), folder, changed))


def _tidy_scripts(folder: Path) -> Iterator[str]:
    """Start scripts with the container's Python; the paths of those that were changed."""
    for script in folder.glob("bin/*"):
        content = script.read_bytes()
        if match := _INTERPRETER.match(content):
            _replace(script, _ANY_PYTHON + content[match.end() :])
            yield script.relative_to(folder).as_posix()


def _tidy_record(record: str, folder: Path, changed: set[str]) -> bytes:
    """Sort the list of files, drop those that are gone, correct those that were changed."""
    rows = []
    for path, *facts in csv.reader(record.splitlines()):
        # pip writes where the file was before it moved everything to the target.
        place = path.removeprefix("../../")
        if not (folder / place).is_file():
            continue
        rows.append([place, *_facts(folder / place)] if place in changed else [place, *facts])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(sorted(rows))
    return text.getvalue().encode()


def _facts(path: Path) -> tuple[str, str]:
    content = path.read_bytes()
    digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={digest}", str(len(content))


def _replace(path: Path, content: bytes) -> None:
    """Write a new file: the old one may be a link into the installer's cache."""
    mode = path.stat().st_mode
    path.unlink()
    path.write_bytes(content)
    path.chmod(mode)
