"""Every blocking method has an ``_async`` twin with the same signature, and the reverse."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import gpuhub

CLASSES = ["Call", "Endpoint", "Function", "WebApp", "Workspace"]

NO_TWIN = {
    # They only build objects or read what is known: nothing to wait for.
    "Call": {"from_id"},
    "Endpoint": {"web_headers", "with_options"},
    "Function": {"bundle", "call", "endpoint", "in_workspace", "local", "plan", "with_options"},
    "WebApp": {"bundle", "endpoint", "in_workspace", "plan"},
    "Workspace": {"adapter_module", "provider_settings", "session", "use", "wire"},
}


def methods(name: str) -> dict[str, Callable[..., Any]]:
    """Give the public methods of a class, class methods unwrapped."""
    found: dict[str, Callable[..., Any]] = {}
    owner = getattr(gpuhub, name)
    for attribute in dir(owner):
        member = inspect.getattr_static(owner, attribute)
        member = getattr(member, "__func__", member)
        if not attribute.startswith("_") and inspect.isfunction(member):
            found[attribute] = member
    return found


def shape(method: Callable[..., Any]) -> str:
    """Give a signature as text, without what being asynchronous adds to it."""
    text = str(inspect.signature(method))
    text = re.sub(r"\bAsync(Iterator|Iterable|Generator)\b", r"\1", text)
    return re.sub(r"\b(?:Awaitable\[|Coroutine\[Any, Any, )(.*)\]", r"\1", text)


@pytest.mark.parametrize("name", CLASSES)
def test_twins_are_complete(name):
    """A method without a twin is on the list of those with nothing to wait for."""
    found = methods(name)
    twinned = {method.removesuffix("_async") for method in found if method.endswith("_async")}
    assert twinned <= found.keys(), f"without a blocking form: {twinned - found.keys()}"
    alone = {method for method in found if not method.endswith("_async")} - twinned
    assert alone == NO_TWIN[name]


@pytest.mark.parametrize("name", CLASSES)
def test_twins_agree(name):
    """Twins take the same parameters and give the same results."""
    found = methods(name)
    pairs = [
        (found[method.removesuffix("_async")], found[method])
        for method in found
        if method.endswith("_async")
    ]
    different = {
        blocking.__name__: (shape(blocking), shape(twin))
        for blocking, twin in pairs
        if shape(blocking) != shape(twin)
    }
    assert not different


@pytest.mark.parametrize("name", CLASSES)
def test_twins_are_asynchronous(name):
    """A twin can be awaited or iterated with ``async for``; its blocking form cannot."""
    for method, function in methods(name).items():
        waits = (
            inspect.iscoroutinefunction(function)
            or inspect.isasyncgenfunction(function)
            or "AsyncIterator" in str(inspect.signature(function).return_annotation)
        )
        assert waits == method.endswith("_async"), f"{name}.{method}"


def test_shapes_differ_when_signatures_do():
    """The comparison sees another default, type, kind or result."""

    def blocking(one: int, *, two: str = "a") -> list[int]: ...
    async def same(one: int, *, two: str = "a") -> list[int]: ...
    async def other_default(one: int, *, two: str = "b") -> list[int]: ...
    async def other_type(one: float, *, two: str = "a") -> list[int]: ...
    async def other_kind(one: int, two: str = "a") -> list[int]: ...
    async def other_result(one: int, *, two: str = "a") -> set[int]: ...

    assert shape(same) == shape(blocking)
    for twin in (other_default, other_type, other_kind, other_result):
        assert shape(twin) != shape(blocking)
