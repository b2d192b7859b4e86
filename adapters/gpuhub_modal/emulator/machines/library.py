"""The packages that a container of Modal's has by itself: ``modal`` and what it needs.

Modal mounts its client with its dependencies into every container. Here they are a folder of links
to the installed ones, so that code in a container finds these and nothing else of this Python.
"""

from __future__ import annotations

import atexit
import functools
import re
import shutil
import tempfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

__all__ = ["library"]

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_IGNORED = frozenset({"..", "__pycache__"})


@functools.cache
def library() -> Path:
    """Give the folder of links; it lives as long as this process."""
    folder = Path(tempfile.mkdtemp(prefix="gpuhub-modal-library-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for found in _closure("modal").values():
        names = {path.parts[0] for path in found.files or ()} - _IGNORED
        for name in names:
            target = Path(str(found.locate_file(name)))
            if not name.endswith(".pth") and target.exists() and not (folder / name).exists():
                (folder / name).symlink_to(target)
    return folder


def _closure(name: str) -> dict[str, Distribution]:
    """Find a distribution with all it requires, by name."""
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        each = waiting.pop()
        key = each.lower().replace("_", "-")
        if key in found:
            continue
        try:
            found[key] = distribution(each)
        except PackageNotFoundError:
            continue  # one for another system
        waiting += [
            match[0]
            for line in found[key].requires or ()
            if "extra ==" not in line and (match := _NAME.match(line))
        ]
    return found
