"""Schedules: cron expressions in UTC, as Beam's scheduled jobs take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuhub.testing.emulator.timeline import Timer
    from gpuhub_beam.emulator.site import Site

__all__ = ["Cron", "Schedule"]

_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_HORIZON = timedelta(days=1_500)


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields: minute, hour, day of the month, month, day of the week (0: Sunday)."""

    fields: tuple[frozenset[int], ...]
    any_day: tuple[bool, bool]

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Read an expression.

        Raises:
            ValueError: It is none.
        """
        parts = _NAMED.get(text.strip(), text).split()
        if len(parts) != len(_RANGES):
            raise ValueError(f"{text!r} does not have five fields")
        fields = tuple(_values(part, *bounds) for part, bounds in zip(parts, _RANGES, strict=True))
        return cls(fields, (parts[2] == "*", parts[4] == "*"))

    def after(self, wall: float) -> float:
        """Give the next moment after one, in seconds since the epoch.

        Raises:
            ValueError: There is none within the next years.
        """
        moment = datetime.fromtimestamp(wall, UTC).replace(second=0, microsecond=0)
        end = moment + _HORIZON
        moment += timedelta(minutes=1)
        while moment < end:
            if not self._has_day(moment):
                moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
            elif moment.hour not in self.fields[1]:
                moment = moment.replace(minute=0) + timedelta(hours=1)
            elif moment.minute not in self.fields[0]:
                moment += timedelta(minutes=1)
            else:
                return moment.timestamp()
        raise ValueError("never due")

    def _has_day(self, moment: datetime) -> bool:
        _, _, days, months, weekdays = self.fields
        in_month = moment.day in days
        in_week = (moment.weekday() + 1) % 7 in weekdays
        # Where both name days, either is enough: so cron has it.
        both = not any(self.any_day)
        fits = in_month or in_week if both else in_month and in_week
        return moment.month in months and fits


def _values(part: str, least: int, most: int) -> frozenset[int]:
    found: set[int] = set()
    for piece in part.split(","):
        span, _, step = piece.partition("/")
        first, dash, last = span.partition("-")
        low = least if first == "*" else int(first)
        high = int(last) if dash else (most if first == "*" or step else low)
        if not least <= low <= high <= most:
            raise ValueError(f"{piece!r} is not within {least} and {most}")
        found.update(range(low, high + 1, int(step or "1")))
    return frozenset(found)


@dataclass
class Schedule:
    """Runs a deployment at its times. Needs the lock.

    Attributes:
        site: What all parts share.
        cron: When.
        run: What happens then.
    """

    site: Site
    cron: Cron
    run: Callable[[], None]
    _timer: Timer | None = field(default=None)

    def begin(self) -> None:
        """Wait for the next time."""
        wall = self.site.timeline.wall()
        left = self.cron.after(wall) - wall
        self._timer = self.site.timeline.after(left, self._due)

    def end(self) -> None:
        """Run nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self.begin()
        self.run()
