"""Options are checked, and what is wrong with them is said all at once."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field

from gpuhub.adapter.options import check_options, option_row
from gpuhub.errors import SpecError
from gpuhub.plan import Fidelity, Rows
from gpuhub.spec import FunctionSpec
from gpuhub.worker.target import Target


class Mount(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    path: str


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    priority: int = Field(0, ge=0)
    mounts: list[Mount] = Field(default_factory=list)


def check(**given):
    """Check options for Acme."""
    return check_options(Options, given, provider="acme", title="Acme")


def refused(**given) -> SpecError:
    """Give the refusal."""
    with pytest.raises(SpecError) as caught:
        check(**given)
    return caught.value


def test_what_is_set_is_given_beside_the_defaults():
    """As the model."""
    assert check(priority=2) == Options(priority=2)
    assert check() == Options()


def test_a_misspelt_option_is_named_with_what_may_be_meant():
    """And all that there are."""
    error = refused(priorty=1)
    assert error.message == "options: acme has no 'priorty'; did you mean 'priority'?"
    assert error.next_step == "Acme's options are priority, mounts"
    assert error.provider == "acme"
    assert refused(zzz=1).message == "options: acme has no 'zzz'"


def test_a_wrong_value_is_shown_with_the_rule():
    """At its place; no other type is taken for it."""
    assert refused(priority=-1).message == (
        "options: acme.priority: Input should be greater than or equal to 0 (got -1)"
    )
    assert "acme.priority: Input should be a valid integer (got '1')" in str(refused(priority="1"))
    assert "acme.mounts.0.path: Field required" in str(refused(mounts=[{}]))


def test_all_problems_are_told():
    """At once."""
    error = refused(priority=-1, other=1)
    assert "acme.priority" in error.message
    assert "acme has no 'other'" in error.message


@pytest.mark.parametrize(
    ("options", "row"),
    [
        ({}, (None, Fidelity.PINNED_DEFAULT, "")),
        ({"acme": {"priority": 1}}, ({"priority": 1}, Fidelity.EMULATED, "as said")),
        ({"b": {}, "a": {}}, (["a", "b"], Fidelity.EMULATED, "ignored here: options of a, b")),
        (
            {"acme": {"priority": 1}, "b": {}},
            ({"priority": 1}, Fidelity.EMULATED, "as said; ignored here: options of b"),
        ),
    ],
)
def test_the_row_of_options(options, row):
    """Says what becomes of them, and which do nothing here."""
    spec = FunctionSpec(app="a", name="b", target=Target("shop", "echo"), options=options)
    rows = Rows(spec)
    option_row(rows, spec, "acme", reason="as said")
    [found] = rows.done()
    assert (found.value, found.fidelity, found.reason) == row
