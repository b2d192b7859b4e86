"""Which imports an image's packages provide, as far as this machine can tell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from importlib import metadata

__all__ = ["ImagePackages", "normalised"]

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?")
_WHEEL = re.compile(r"(?:.*/)?([A-Za-z0-9._]+)-[^/]*\.(?:whl|tar\.gz|zip)\Z")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")

# Import names that do not show in the distribution's name, for those not installed here.
_PROVIDERS = {
    "attr": ("attrs",),
    "bs4": ("beautifulsoup4",),
    "cv2": ("opencv-python", "opencv-python-headless", "opencv-contrib-python"),
    "docx": ("python-docx",),
    "fitz": ("pymupdf",),
    "git": ("gitpython",),
    "jwt": ("pyjwt",),
    "OpenSSL": ("pyopenssl",),
    "PIL": ("pillow",),
    "pkg_resources": ("setuptools",),
    "pydub": ("pydub",),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn",),
    "umap": ("umap-learn",),
    "whisper": ("openai-whisper",),
}


def normalised(name: str) -> str:
    """Give a distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


class ImagePackages:
    """The packages of an image, from its requirement lines.

    Args:
        requirements: As pip takes them.
    """

    def __init__(self, requirements: Iterable[str]) -> None:
        self._wanted: dict[str, frozenset[str]] = {}
        self.is_opaque = False
        """Whether a line names no package that we could know, such as ``-r requirements.txt``."""
        for line in requirements:
            name, extras = _parse(line)
            if name:
                self._wanted[name] = self._wanted.get(name, frozenset()) | extras
            else:
                self.is_opaque = True

    def provide(self, module: str) -> bool:
        """Whether ``import module`` works in the image, by the first part of its name."""
        top = module.partition(".")[0]
        direct = {normalised(top), *_PROVIDERS.get(top, ())}
        if direct & self._wanted.keys():
            return True
        known = {normalised(name) for name in self._installed.get(top, ())}
        if known:
            return bool(known & self._with_dependencies)
        return any(_resembles(normalised(top), name) for name in self._not_installed)

    def suggest(self, module: str) -> str:
        """Name the distribution to add for an import."""
        top = module.partition(".")[0]
        found = self._installed.get(top) or _PROVIDERS.get(top) or (top,)
        return normalised(found[0])

    @cached_property
    def _installed(self) -> dict[str, list[str]]:
        """Distributions by the import names they provide here."""
        return {name: list(found) for name, found in metadata.packages_distributions().items()}

    @cached_property
    def _not_installed(self) -> list[str]:
        return [name for name in self._wanted if _requirements(name) is None]

    @cached_property
    def _with_dependencies(self) -> set[str]:
        """The listed packages and, where they are installed here, what they require."""
        found: set[tuple[str, str]] = set()
        waiting = [(name, extra) for name in self._wanted for extra in ("", *self._wanted[name])]
        while waiting:
            item = waiting.pop()
            if item in found:
                continue
            found.add(item)
            name, extra = item
            for line in _requirements(name) or ():
                marker = _EXTRA.search(line.partition(";")[2])
                if (marker.group(1) if marker else "") == extra or not marker:
                    inner, extras = _parse(line)
                    waiting += [(inner, wanted) for wanted in ("", *extras)]
        return {name for name, _ in found}


def _parse(line: str) -> tuple[str, frozenset[str]]:
    """Give the normalised name and the extras of a requirement line; no name if it has none."""
    text = line.strip()
    if text.startswith("-"):
        return "", frozenset()
    for pattern in (_EGG, _WHEEL):
        found = pattern.search(text.partition(";")[0].strip())
        if found and "@" not in text.partition("://")[0]:
            return normalised(found.group(1)), frozenset()
    match = _NAME.match(text)
    rest = text[match.end() :].lstrip() if match else ""
    if not match or rest[:1] in ("/", "+", ":", "\\"):
        return "", frozenset()
    extras = (match.group(2) or "").split(",")
    return normalised(match.group(1)), frozenset(extra.strip() for extra in extras if extra.strip())


def _requirements(name: str) -> list[str] | None:
    """Give what an installed distribution requires; ``None`` when it is not installed here."""
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return None


def _resembles(module: str, distribution: str) -> bool:
    """Whether a distribution that is not installed here may well provide the import.

    ``dateutil`` is in ``python-dateutil``, ``yaml`` in ``pyyaml``.
    """
    return module in distribution.split("-") or (len(module) > 3 and module in distribution)
