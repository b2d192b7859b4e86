"""Small pure parts: durations, prices, arguments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.cli.cost import dollars, idle_cost, per_hour
from gpuhub.cli.durations import date_time, read_duration
from gpuhub.cli.payload import read_arguments
from gpuhub.errors import SpecError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5h", 5400), ("10 m", 600), ("2d", 172800)]
)
def test_durations(text, seconds):
    """Plain seconds, or a unit."""
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-1", "1w", "1h30m"])
def test_no_durations(text):
    """Anything else is refused."""
    with pytest.raises(SpecError):
        read_duration(text)


def test_unknown_moment_is_empty():
    """Not the year 1970."""
    assert date_time(None) == ""


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "$0.00"), (0.00031, "$0.0003"), (0.55, "$0.55"), (1234.5, "$1,234.50")],
)
def test_dollars(amount, text):
    """A small price is not rounded to nothing."""
    assert dollars(amount) == text


def test_unknown_prices():
    """Said, never taken for zero."""
    assert per_hour(None) == "unknown"
    assert "unknown" in idle_cost(None, "some list")
    assert idle_cost(0.0, "") == "an idle hour costs $0.00"


@given(st.text().filter(lambda text: "\x00" not in text))
def test_any_text_is_an_argument(text):
    """`key=value` takes every value; what is no JSON is text."""
    found = read_arguments([f"key={text}"], None, None)
    assert found.keys() == {"key"}


@given(st.dictionaries(st.text(min_size=1), st.integers() | st.text() | st.none()))
def test_data_arrives_as_it_is(value):
    """A JSON object in, the same out."""
    import json

    assert read_arguments([], json.dumps(value), None) == value
