"""What all parts of the emulator share."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator
from dataclasses import dataclass, field

from gpuhub.testing.emulator.site import EmulatorSite
from gpuhub_baseten.emulator.options import EmulatorOptions

__all__ = ["Site"]

_LETTERS = "abcdefghjkmnpqrstvwxyz23456789"
_TEAM = "Emulated team"


@dataclass(kw_only=True)
class Site(EmulatorSite):
    """One workspace at Baseten, as seen from inside.

    Attributes:
        options: How it behaves.
        secrets: Values of the workspace's secrets by name.
        team: Name of the only team.
    """

    options: EmulatorOptions
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    team: str = _TEAM
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new_id(self, length: int = 8) -> str:
        """Give an id in Baseten's manner, letters and digits; never the same twice."""
        letters = "".join(self.random.choices(_LETTERS, k=length - 4))
        digits = string.digits + string.ascii_lowercase
        number, tail = next(self._numbers), ""
        for _ in range(4):
            number, place = divmod(number, 36)
            tail = digits[place] + tail
        return letters + tail

    def now(self) -> float:
        """Clock seconds."""
        return self.timeline.now()
