"""Rules without a server: payloads, cron expressions, what a message becomes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub_beam.emulator.payloads import as_go, read_payload
from gpuhub_beam.emulator.schedules import Cron

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_go_changes_no_value(value):
    """Only whole floats become integers; both compare equal."""
    assert as_go(value) == value
    assert json.loads(json.dumps(as_go(value))) == value


@given(st.integers())
def test_go_knows_no_large_integers(number):
    """Beyond 2**53 they are floats."""
    seen = as_go(number) if abs(number) < 10**300 else 0
    assert seen == (float(number) if abs(number) < 10**300 else 0)
    assert isinstance(seen, int) is (abs(number) < 2**53 or abs(number) >= 10**300)


@given(st.dictionaries(st.text().filter(lambda name: name not in ("args", "kwargs")), JSON))
def test_names_become_keywords(document):
    """All of them, when there is no ``kwargs``."""
    body = json.dumps(document).encode()
    assert read_payload(body, {}) == {"args": None, "kwargs": document}


FIELD = st.sampled_from(["*", "0", "5", "*/2", "1-4", "1,3", "2-6/2", "*/5"])


@given(
    fields=st.tuples(FIELD, FIELD, st.sampled_from(["*", "1", "15", "1-5"]), FIELD, FIELD),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1)),  # noqa: DTZ001 - made aware
)
def test_the_next_moment_of_a_cron_expression(fields, start):
    """Is the first that fits, looked for minute by minute."""
    minute, hour, day, _, weekday = fields
    cron = Cron.parse(f"{minute} {hour} {day} * {weekday}")
    moment = start.replace(tzinfo=UTC, second=7)
    found = datetime.fromtimestamp(cron.after(moment.timestamp()), UTC)
    assert found > moment
    assert found.second == 0
    at = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
    steps = 0
    while not fits(cron, at) and steps < 3_000:
        at, steps = at + timedelta(minutes=1), steps + 1
    assert found == at or (steps == 3_000 and found > at)


def fits(cron, at):
    """Whether a moment is one of an expression's; apart from the code under test."""
    minutes, hours, days, _, weekdays = cron.fields
    in_month, in_week = at.day in days, at.isoweekday() % 7 in weekdays
    day = in_month or in_week if not any(cron.any_day) else in_month and in_week
    return at.minute in minutes and at.hour in hours and day


@pytest.mark.parametrize(
    "text", ["", "* * * *", "60 * * * *", "x * * * *", "@never", "5-1 * * * *"]
)
def test_what_is_no_cron_expression(text):
    """Refused."""
    with pytest.raises(ValueError, match=r"fields|within|invalid literal"):
        Cron.parse(text)


def test_the_thirtieth_of_february():
    """Never comes."""
    with pytest.raises(ValueError, match="never due"):
        Cron.parse("0 0 30 2 *").after(0)
