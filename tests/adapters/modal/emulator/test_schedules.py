"""Schedules: when they are due, and what runs then."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub_modal.emulator.problems import Refused
from gpuhub_modal.emulator.schedules import next_due
from tests.adapters.modal.emulator.conftest import Laboratory

pb: Any = pytest.importorskip("modal_proto.api_pb2", reason="needs the SDK: run in .venv-modal")
NOW = datetime(2026, 1, 1, 10, 30, 20, tzinfo=UTC)  # a Thursday


def cron(text: str, timezone: str = "UTC") -> str:
    """Give when it is due next after :data:`NOW`, in UTC."""
    schedule = pb.Schedule(cron=pb.Schedule.Cron(cron_string=text, timezone=timezone))
    return f"{datetime.fromtimestamp(next_due(schedule, NOW.timestamp()), UTC):%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("* * * * *", "2026-01-01 10:31:00"),
        ("30 10 * * *", "2026-01-02 10:30:00"),
        ("*/20 * * * *", "2026-01-01 10:40:00"),
        ("5-10/5 0,12 * * *", "2026-01-01 12:05:00"),
        ("0 6 * * 1", "2026-01-05 06:00:00"),
        ("0 6 * * mon-wed", "2026-01-05 06:00:00"),
        ("0 0 * * 7", "2026-01-04 00:00:00"),
        ("0 0 29 feb *", "2028-02-29 00:00:00"),
        ("0 0 13 * fri", "2026-01-02 00:00:00"),
        ("0 0 */15 * *", "2026-01-16 00:00:00"),
    ],
)
def test_cron(text: str, due: str) -> None:
    """Five fields; of a day and a weekday that are both named, one is enough."""
    assert cron(text) == due


def test_cron_in_a_time_zone() -> None:
    """As the clocks there show."""
    assert cron("0 6 * * *", "America/New_York") == "2026-01-01 11:00:00"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "60 * * * *",
        "* * * * 8",
        "a * * * *",
        "5-1 * * * *",
        "*/0 * * * *",
        "0 0 30 2 *",
    ],
)
def test_what_is_no_cron_expression(text: str) -> None:
    """Or is never due."""
    with pytest.raises(Refused, match="cron"):
        cron(text)


def test_an_unknown_time_zone() -> None:
    """Is named."""
    with pytest.raises(Refused, match="Mars"):
        cron("* * * * *", "Mars/Base")


@given(st.integers(0, 59), st.integers(0, 23), st.floats(0, 4e9))
def test_cron_is_due_later_at_its_time(minute: int, hour: int, wall: float) -> None:
    """Within a day, whenever it is asked."""
    schedule = pb.Schedule(cron=pb.Schedule.Cron(cron_string=f"{minute} {hour} * * *"))
    due = next_due(schedule, wall)
    moment = datetime.fromtimestamp(due, UTC)
    assert wall < due <= wall + 86_400 + 60
    assert (moment.minute, moment.hour, moment.second) == (minute, hour, 0)


@pytest.mark.parametrize(
    ("period", "due"),
    [
        ({"seconds": 90.5}, "2026-01-01 10:31:50"),
        ({"days": 1, "hours": 2}, "2026-01-02 12:30:20"),
        ({"months": 1}, "2026-02-01 10:30:20"),
        ({"years": 1, "weeks": 1}, "2027-01-08 10:30:20"),
    ],
)
def test_periods(period: dict[str, Any], due: str) -> None:
    """Count from now."""
    schedule = pb.Schedule(period=pb.Schedule.Period(**period))
    moment = datetime.fromtimestamp(next_due(schedule, NOW.timestamp()), UTC)
    assert f"{moment:%Y-%m-%d %H:%M:%S}" == due


def test_a_period_of_nothing() -> None:
    """Is refused."""
    with pytest.raises(Refused, match="above 0"):
        next_due(pb.Schedule(period=pb.Schedule.Period()), 0)


def test_a_schedule_runs_the_function(lab: Laboratory, tmp_path: Path) -> None:
    """At its time, and no more once another version has none."""
    log = tmp_path / "log"
    path = str(log)

    def it() -> None:
        with open(path, "a") as file:  # noqa: PTH123 - runs in a container
            file.write("ran\n")

    def runs() -> int:
        return len(log.read_text().splitlines()) if log.exists() else 0

    lab.deploy(it, schedule=lab.modal.Period(hours=1))
    lab.advance(3_500)
    assert runs() == 0
    lab.advance(200)
    lab.advance(10)
    lab.until(lambda: runs() == 1)
    lab.advance(3_600)
    lab.advance(10)
    lab.until(lambda: runs() == 2)
    lab.deploy(it)
    lab.advance(7_200)
    assert runs() == 2
