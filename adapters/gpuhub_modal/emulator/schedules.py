"""When a schedule is due: cron expressions and periods."""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gpuhub_modal.emulator.problems import bad

__all__ = ["check_schedule", "next_due"]

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: tuple[dict[str, int], ...] = (
    {},
    {},
    {},
    {name: number for number, name in enumerate(_MONTHS, 1)},
    {name: number for number, name in enumerate(_DAYS)},
)
_YEARS = 5
_MINUTES_A_DAY = 1440


def check_schedule(schedule: Any) -> None:
    """Check Modal's ``Schedule``.

    Raises:
        Refused: It is no cron expression, its time zone is unknown, or its period is nothing.
    """
    next_due(schedule, 0.0)


def next_due(schedule: Any, wall: float) -> float:
    """Give when a schedule is due next, in seconds since the epoch.

    Args:
        schedule: Modal's ``Schedule``. A period counts from now, as Modal counts it from the
            deploy.
        wall: Now, in seconds since the epoch.

    Raises:
        Refused: See :func:`check_schedule`.
    """
    now = datetime.fromtimestamp(wall, UTC)
    if schedule.WhichOneof("schedule_oneof") == "cron":
        cron = schedule.cron
        return _next_cron(cron.cron_string, _zone(cron.timezone), now).timestamp()
    due = _later(now, schedule.period)
    if due <= now:
        raise bad("a schedule's period must be above 0")
    return due.timestamp()


def _zone(name: str) -> tzinfo:
    if name in ("", "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise bad(f"unknown time zone {name!r}") from None


def _later(now: datetime, period: Any) -> datetime:
    months = now.month - 1 + period.months + 12 * period.years
    year, month = now.year + months // 12, months % 12 + 1
    day = min(now.day, calendar.monthrange(year, month)[1])
    return now.replace(year=year, month=month, day=day) + timedelta(
        weeks=period.weeks,
        days=period.days,
        hours=period.hours,
        minutes=period.minutes,
        seconds=period.seconds,
    )


def _next_cron(text: str, zone: tzinfo, now: datetime) -> datetime:
    matches = _cron(text)
    moment = now.astimezone(zone).replace(second=0, microsecond=0)
    day = moment.replace(hour=0, minute=0)
    for offset in range(366 * _YEARS):
        today = day + timedelta(days=offset)
        if not matches[0](today):
            continue
        for minute in range(_MINUTES_A_DAY):
            due = today.replace(hour=minute // 60, minute=minute % 60)
            if due > moment and matches[1](due):
                return due
    raise bad(f"cron expression {text!r} is never due")


def _cron(text: str) -> tuple[Callable[[datetime], bool], Callable[[datetime], bool]]:
    """Read a cron expression; give whether a day fits, and a minute of such a day."""
    parts = text.split()
    if len(parts) != len(_RANGES):
        raise bad(f"a cron expression has five fields (got {text!r})")
    minutes, hours, days, months, weekdays = (
        _values(part, _RANGES[index], _NAMES[index], text) for index, part in enumerate(parts)
    )
    any_day, any_weekday = parts[2].startswith("*"), parts[4].startswith("*")
    weekdays = {value % 7 for value in weekdays}

    def fits_day(day: datetime) -> bool:
        if day.month not in months:
            return False
        by_day, by_weekday = day.day in days, day.isoweekday() % 7 in weekdays
        return by_day and by_weekday if any_day or any_weekday else by_day or by_weekday

    return fits_day, lambda moment: moment.hour in hours and moment.minute in minutes


def _values(part: str, limits: tuple[int, int], names: dict[str, int], text: str) -> set[int]:
    found: set[int] = set()
    least, most = limits
    for piece in part.lower().split(","):
        spread, _, step = piece.partition("/")
        first, dash, last = spread.partition("-")
        wrong = bad(f"cron expression {text!r}: {piece!r} is not understood")
        try:
            every = int(step or 1)
            start = least if first == "*" else _number(first, names)
            end = most if first == "*" or (step and not dash) else start
            end = _number(last, names) if dash else end
        except ValueError:
            raise wrong from None
        if every < 1 or not least <= start <= end <= most:
            raise wrong
        found.update(range(start, end + 1, every))
    return found


def _number(text: str, names: dict[str, int]) -> int:
    return names[text] if text in names else int(text)
