"""The packages of a container: ``modal``, which Modal mounts there, and those of its image.

They are folders of links to packages of this Python, with what each of them needs, so that code in
a container finds these and nothing else. A package of the image that is not installed here is
missing there.
"""

from __future__ import annotations

import atexit
import functools
import re
import shutil
import tempfile
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

__all__ = ["library"]

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_IGNORED = frozenset({"..", "__pycache__"})


@functools.cache
def library(*names: str) -> Path:
    """Give a folder of links; it lives as long as this process.

    Args:
        names: Distributions. Default: ``modal``.
    """
    folder = Path(tempfile.mkdtemp(prefix="gpuhub-modal-library-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for found in _closure(names or ("modal",)).values():
        for name in {path.parts[0] for path in found.files or ()} - _IGNORED:
            target = Path(str(found.locate_file(name)))
            if not name.endswith(".pth") and target.exists() and not (folder / name).exists():
                (folder / name).symlink_to(target)
    return folder


def _closure(names: Iterable[str]) -> dict[str, Distribution]:
    """Find distributions with all they require, by name."""
    found: dict[str, Distribution] = {}
    waiting = list(names)
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
