"""A layer of installed packages, made from wheels alone: nothing is built, no image is started."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gpuhub.adapter import Io
from gpuhub.errors import SpecError
from gpuhub.oci.installers import install
from gpuhub.oci.layers import Layer, layer_from_folder
from gpuhub.oci.tidy import tidy

__all__ = ["PLATFORM", "wheels_layer"]

PLATFORM = "x86_64-manylinux_2_28"
"""Linux on AMD64 with glibc 2.28 or newer, as Debian 10 and all later ones are."""

# Counts up when the same requirements would give another layer.
_SCHEMA = 1
_PYTHON = re.compile(r"3\.\d{1,2}")
_PLATFORM = re.compile(r"x86_64-manylinux_2_\d{2}")


async def wheels_layer(
    io: Io,
    requirements: Sequence[str],
    *,
    python: str,
    cache: Path,
    prefix: str,
    platform: str = PLATFORM,
) -> Layer:
    """Install requirements into a folder as the image's Python would, and pack it.

    The layer is kept in ``cache`` and found again by requirements, Python, platform and prefix,
    so that unchanged requirements give the same digest: versions that are not pinned stay as
    they were at first, until the cache is deleted.

    Args:
        io: What an adapter was given.
        requirements: As for pip, such as ``"numpy>=2"``; no options and no folders.
        python: Python of the image, such as ``"3.12"``.
        cache: Folder of all such layers; made if need be.
        prefix: Folder of the image, to be put on its ``PYTHONPATH``.
        platform: In uv's terms.

    Raises:
        SpecError: A requirement is none, has no wheel for the platform, or cannot be fetched; or
            there is neither uv nor a pip that can do it.
    """
    wanted = _checked(requirements, python, platform)
    key = json.dumps([_SCHEMA, wanted, python, platform, prefix])
    note = cache / f"wheels-{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    found = await io.run(_cached, note)
    if found is None:
        found = await io.run(_made, wanted, python, platform, note, prefix)
    return found


def _checked(requirements: Sequence[str], python: str, platform: str) -> list[str]:
    wanted = sorted({requirement.strip() for requirement in requirements} - {""})
    for requirement in wanted:
        if requirement.startswith(("-", ".", "/", "~")) or "\n" in requirement:
            raise SpecError(
                f"image.pip has {requirement!r}: options and folders cannot be put into a layer",
                next_step="name packages, such as numpy>=2; the project's own files travel anyway",
            )
    if not wanted:
        raise SpecError(
            "a layer of packages needs at least one requirement",
            next_step="leave the layer out",
        )
    for name, value, rule in (("python", python, _PYTHON), ("platform", platform, _PLATFORM)):
        if not rule.fullmatch(value):
            raise SpecError(
                f"no wheels can be chosen for the {name} {value!r}",
                next_step=f"use a {name} like {'3.12' if rule is _PYTHON else PLATFORM}",
            )
    return wanted


def _cached(note: Path) -> Layer | None:
    """An earlier layer, unless somebody removed or cut its file."""
    try:
        facts = json.loads(note.read_text("utf-8"))
        layer = Layer(**{**facts, "path": note.parent / facts["path"]})
        return layer if layer.path.stat().st_size == layer.size else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _made(requirements: list[str], python: str, platform: str, note: Path, prefix: str) -> Layer:
    cache = note.parent
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="install-", dir=cache) as name:
            folder = Path(name, "packages")
            install(requirements, folder, python, platform)
            tidy(folder)
            comment = f"Python {python}: {' '.join(requirements)}"
            layer = layer_from_folder(folder, cache, prefix=prefix, comment=comment)
        _note(note, layer)
    except OSError as error:
        raise SpecError(
            f"packages cannot be installed below {cache}: {error.strerror or error}",
            next_step="check that the folder can be written to, and that the disk has space",
        ) from error
    return layer


def _note(note: Path, layer: Layer) -> None:
    """Written at once and last: whoever finds it finds the whole layer."""
    facts = {**asdict(layer), "path": layer.path.name}
    with tempfile.NamedTemporaryFile("w", dir=note.parent, suffix=".part", delete=False) as part:
        json.dump(facts, part)
    Path(part.name).replace(note)
