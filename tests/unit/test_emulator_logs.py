"""The log of an emulator's worker."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from gpuhub.adapter.reading import rfc3339
from gpuhub.testing.emulator.logs import WorkerLog


@given(st.floats(1.7e9, 1.9e9))
def test_a_line_is_found_by_the_time_that_is_shown(tmp_path_factory, moment):
    """Clocks are finer than what APIs show: a line is neither missed nor given twice."""
    log = WorkerLog(tmp_path_factory.getbasetemp() / "nothing-printed", lambda: moment)
    log.say("there")
    (line,) = log.last(1)
    shown = datetime.fromisoformat(rfc3339(line.at)).timestamp()
    assert log.since(shown) == [line]
    assert not line.at > shown
