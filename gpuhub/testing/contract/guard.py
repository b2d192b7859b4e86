"""The guard: a subclass of the suite may expect a test to fail, never lose one."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from typing_extensions import override

__all__ = ["Guard", "departures"]

PROTECTED_FIXTURES = ("bench", "drive")


class Guard:
    """One test about the suite itself."""

    def test_no_test_is_overridden_or_removed(self) -> None:
        """Every standard test is there as the suite has it, or is expected to fail, and why."""
        from gpuhub.testing.contract import AdapterContract

        problems = departures(type(self), AdapterContract)
        if problems:
            pytest.fail("\n".join(problems))

    @override
    def __init_subclass__(cls, **arguments: Any) -> None:
        """Refuse a subclass that overrides the guard."""
        super().__init_subclass__(**arguments)
        name = "test_no_test_is_overridden_or_removed"
        if name in vars(cls):
            msg = f"{cls.__name__} overrides {name}: the suite would not notice lost tests"
            raise TypeError(msg)


def departures(subclass: type, standard: type) -> list[str]:
    """Where a subclass departs from the suite without saying why; a line each.

    Args:
        subclass: The class that runs.
        standard: The suite.
    """
    names = [name for name in dir(standard) if name.startswith("test_")]
    changed = [name for name in names if _differs(subclass, standard, name)]
    problems = [_problem(subclass, name) for name in changed]
    problems += [
        f"{subclass.__name__}.{name}: the suite's own fixture must not be replaced"
        for name in PROTECTED_FIXTURES
        if _differs(subclass, standard, name)
    ]
    return [problem for problem in problems if problem]


def _differs(subclass: type, standard: type, name: str) -> bool:
    missing = object()
    found = inspect.getattr_static(subclass, name, missing)
    return found is not inspect.getattr_static(standard, name)


def _problem(subclass: type, name: str) -> str:
    found = getattr(subclass, name, None)
    if not callable(found):
        return f"{subclass.__name__}.{name}: removed; a test of the suite cannot be dropped"
    if any(_is_reasoned(mark) for mark in getattr(found, "pytestmark", [])):
        return ""
    return (
        f"{subclass.__name__}.{name}: overridden; to keep it with a known failure, mark the "
        "override with @pytest.mark.contract_xfail(reason='…') and call super() in it"
    )


def _is_reasoned(mark: pytest.Mark) -> bool:
    reason = mark.kwargs.get("reason")
    if mark.name == "contract_xfail":
        return bool(reason)
    return mark.name == "xfail" and bool(reason) and mark.kwargs.get("strict") is True
