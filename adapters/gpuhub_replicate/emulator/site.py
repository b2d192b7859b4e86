"""What all parts of the emulator share."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator
from dataclasses import dataclass, field

from gpuhub.testing.emulator.site import EmulatorSite
from gpuhub_replicate.emulator.options import EmulatorOptions

__all__ = ["Site"]

_LETTERS = string.ascii_lowercase + string.digits


@dataclass(kw_only=True)
class Site(EmulatorSite):
    """One account at Replicate, as seen from inside.

    Attributes:
        options: How it behaves.
    """

    options: EmulatorOptions
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new_id(self, length: int = 26) -> str:
        """Give an id in Replicate's manner; never the same twice."""
        letters = "".join(self.random.choices(_LETTERS, k=length - 5))
        return f"{letters}{next(self._numbers):05d}"
