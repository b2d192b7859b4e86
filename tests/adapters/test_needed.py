"""What is missing is never passed over in silence."""

from __future__ import annotations

import pytest

from tests.adapters.needed import absent, present, published


def nowhere():
    """Search in vain."""
    raise FileNotFoundError("make it like this")


@pytest.mark.parametrize(
    "ask",
    [
        lambda: absent("make it like this"),
        lambda: present(nowhere, FileNotFoundError),
        lambda: published("make it like this"),
    ],
    ids=["absent", "present", "published"],
)
@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip), ("true", pytest.fail)])
def test_what_is_absent(monkeypatch, ask, ci, outcome):
    """Skips with the reason, and fails with it where everything must be there."""
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome.Exception, match="make it like this"):
        ask()


def test_what_is_there():
    """Is given."""
    assert present(lambda: 1, ValueError) == 1
