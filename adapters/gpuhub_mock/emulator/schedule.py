"""When a schedule is due next."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from gpuhub_mock.emulator.bodies import Timer
from gpuhub_mock.emulator.refusals import Refusal

__all__ = ["next_run"]

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES: tuple[tuple[str, ...], ...] = (
    (),
    (),
    (),
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
)
_LONGEST_DAYS = 8 * 366  # a 29th of February may be eight years away


def next_run(timer: Timer, after: float, started: float) -> float:
    """Give the first moment after ``after``.

    Args:
        timer: A period, counted from ``started``, or a cron line in UTC.
        after: Exclusive; for a cron line in seconds since the epoch.
        started: When the schedule began.

    Returns:
        The moment; infinity for a cron line that no date satisfies.

    Raises:
        Refusal: The cron line is malformed.
    """
    if timer.every_s is not None:
        periods = math.floor((after - started) / timer.every_s) + 1
        due = started + periods * timer.every_s
        return due if due > after else due + timer.every_s
    return _next_cron(timer.cron or "", after)


def _next_cron(line: str, after: float) -> float:
    fields = _parse(line)
    minutes, hours = sorted(fields[0]), sorted(fields[1])
    moment = datetime.fromtimestamp(after, UTC).replace(second=0, microsecond=0)
    moment += timedelta(minutes=1)
    day = moment.replace(hour=0, minute=0)
    for _ in range(_LONGEST_DAYS):
        if _matches_day(line, fields, day):
            for hour in hours:
                for minute in minutes:
                    found = day.replace(hour=hour, minute=minute)
                    if found >= moment:
                        return found.timestamp()
        day += timedelta(days=1)
    return math.inf


def _matches_day(line: str, fields: list[set[int]], day: datetime) -> bool:
    _, _, days, months, weekdays = fields
    if day.month not in months:
        return False
    in_month, in_week = day.day in days, day.isoweekday() % 7 in weekdays
    _, _, day_text, _, week_text = line.split()
    # As cron has it: with both restricted, either is enough.
    if day_text != "*" and week_text != "*":
        return in_month or in_week
    return in_month and in_week


def _parse(line: str) -> list[set[int]]:
    try:
        parts = zip(line.split(), _RANGES, _NAMES, strict=True)
        fields = [_field(text, low, high, names) for text, (low, high), names in parts]
    except ValueError as error:
        raise Refusal(422, "bad_request", f"schedule.cron {line!r}: {error}") from None
    if 7 in fields[4]:
        fields[4].add(0)
    return fields


def _field(text: str, low: int, high: int, names: tuple[str, ...]) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        begin = low if span == "*" else _number(first, names, low)
        end = high if span == "*" or (slash and not dash) else begin
        end = _number(last, names, low) if dash else end
        if not low <= begin <= end <= high:
            raise ValueError(f"{part!r} is not within {low} and {high}")
        found.update(range(begin, end + 1, int(step) if slash else 1))
    return found


def _number(text: str, names: tuple[str, ...], low: int) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + low
    if not text.isdigit():
        raise ValueError(f"{text!r} is no number")
    return int(text)
