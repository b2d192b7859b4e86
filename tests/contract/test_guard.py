"""The guard notices lost tests, and nothing else."""

from __future__ import annotations

import pytest

from gpuhub.testing.contract import AdapterContract
from gpuhub.testing.contract.guard import departures


def test_a_plain_subclass_departs_from_nothing():
    """Settings and fixtures about the provider may be replaced, and tests added."""

    class Plain(AdapterContract):
        adapter = "gpuhub_mock"

        @pytest.fixture
        def emulator(self):
            return None

        def test_something_of_its_own(self):
            return None

    assert departures(Plain, AdapterContract) == []


def test_a_removed_test_is_noticed():
    """Setting a test to ``None`` is how one would drop it."""

    class Without(AdapterContract):
        test_a_remote_error_is_told_in_full = None  # type: ignore[assignment]

    (problem,) = departures(Without, AdapterContract)
    assert "test_a_remote_error_is_told_in_full: removed" in problem


def test_an_overridden_test_is_noticed():
    """Whatever the override does."""

    class Changed(AdapterContract):
        def test_a_remote_error_is_told_in_full(self, bench):
            super().test_a_remote_error_is_told_in_full(bench=bench)

    (problem,) = departures(Changed, AdapterContract)
    assert "overridden" in problem
    assert "contract_xfail" in problem


@pytest.mark.parametrize(
    ("mark", "is_noticed"),
    [
        (pytest.mark.contract_xfail(reason="the provider loses it"), False),
        (pytest.mark.xfail(reason="the provider loses it", strict=True), False),
        (pytest.mark.contract_xfail(), True),
        (pytest.mark.contract_xfail(reason=""), True),
        (pytest.mark.xfail(reason="the provider loses it"), True),
        (pytest.mark.xfail(strict=True), True),
        (pytest.mark.skip(reason="the provider loses it"), True),
    ],
)
def test_a_known_failure_needs_a_reason(mark, is_noticed):
    """Only a strict xfail that says why lets an override pass."""

    class Known(AdapterContract):
        @mark
        def test_a_remote_error_is_told_in_full(self, bench):
            super().test_a_remote_error_is_told_in_full(bench=bench)

    assert bool(departures(Known, AdapterContract)) is is_noticed


def test_the_three_ways_of_calling_stay():
    """The fixture that runs each test three times cannot be narrowed."""

    class Narrow(AdapterContract):
        @pytest.fixture(params=["sync"])
        def drive(self, request):
            return request.param

    assert any("drive" in problem for problem in departures(Narrow, AdapterContract))


def test_the_guard_itself_cannot_be_overridden():
    """It would not notice its own loss."""
    with pytest.raises(TypeError, match="lost tests"):

        class Bad(AdapterContract):
            test_no_test_is_overridden_or_removed = None  # type: ignore[assignment]
