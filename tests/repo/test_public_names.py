"""The public names: importable, documented, harmless to import all at once."""

from __future__ import annotations

import builtins
import inspect

import pytest

import gpuhub


@pytest.mark.parametrize("name", gpuhub.__all__)
def test_every_name_loads_and_is_documented(name):
    """A listed name exists and says what it is in its own words, not in those of a base."""
    value = getattr(gpuhub, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
        assert (own or "").strip()


@pytest.mark.parametrize("name", gpuhub.__all__)
def test_methods_are_documented(name):
    """Every public method and property of a public class has a docstring."""
    value = getattr(gpuhub, name)
    if not inspect.isclass(value) or not value.__module__.startswith("gpuhub"):
        return
    bare = []
    for attribute, member in list(vars(value).items()):
        function = getattr(member, "__func__", getattr(member, "fget", member))
        if not attribute.startswith("_") and inspect.isfunction(function) and not function.__doc__:
            bare.append(attribute)
    assert not bare


def test_the_list_is_tidy():
    """Names are sorted, unique, and shadow no builtin."""
    assert list(gpuhub.__all__) == sorted(set(gpuhub.__all__))
    assert not [name for name in gpuhub.__all__ if hasattr(builtins, name)]
    assert set(dir(gpuhub)) >= set(gpuhub.__all__)


def test_an_unknown_name_is_an_attribute_error():
    """The lazy loader refuses names that are not listed."""
    with pytest.raises(AttributeError, match="no_such_name"):
        gpuhub.no_such_name  # noqa: B018
