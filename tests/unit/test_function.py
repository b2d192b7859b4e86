"""A decorated object still behaves as what was decorated."""

from __future__ import annotations

import asyncio
import copy
import doctest
import inspect
import pickle
import pydoc
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import get_type_hints

import pytest

import gpuhub


@gpuhub.function(gpu="A100-80GB", timeout=60)
def factorial(number: int, *, start: int = 1) -> int:
    """Multiply.

    >>> factorial(4)
    24
    """
    return start if number <= 1 else number * factorial(number - 1, start=start)


@gpuhub.function
def count(number: int):
    """Count up."""
    yield from range(number)


@gpuhub.function
async def later(number: int) -> int:
    """Give it later."""
    await asyncio.sleep(0)
    return number


@gpuhub.function
async def count_later(number: int):
    """Count up, later."""
    for each in range(number):
        yield each


class _Transcribe:
    """Hear."""

    made = 0

    def setup(self) -> None:
        """Load."""
        type(self).made += 1
        self.model = "model"

    def __call__(self, audio: bytes, *, language: str = "en") -> str:
        """Take one."""
        return f"{self.model} {language} {len(audio)}"


# mypy ignores what a class decorator returns.
Transcribe = gpuhub.function(name="speech")(_Transcribe)


@gpuhub.web(gpu="L4", public=True)
def site():
    """Make an app."""

    async def app(scope, receive, send): ...

    return app


def test_a_plain_call_runs_here():
    """Recursion included."""
    assert factorial(5) == 120
    assert factorial.local(3, start=2) == 12


def test_the_facts_of_the_function_are_kept():
    """As ``functools.wraps`` keeps them."""
    assert factorial.__name__ == "factorial"
    assert factorial.__qualname__ == "factorial"
    assert factorial.__module__ == __name__
    assert factorial.__doc__ == factorial.__wrapped__.__doc__
    assert get_type_hints(factorial.__wrapped__)["number"] is int
    assert str(inspect.signature(factorial)) == "(number: 'int', *, start: 'int' = 1) -> 'int'"
    assert inspect.unwrap(factorial) is factorial.__wrapped__
    assert inspect.isroutine(factorial)


def test_documentation_tools_see_a_function():
    """Pydoc shows signature and text, doctest finds the example."""
    text = pydoc.plain(pydoc.render_doc(factorial))
    assert "factorial(number: 'int', *, start: 'int' = 1)" in text
    assert "Multiply." in text
    finder = doctest.DocTestFinder()
    found = {test.name: test for test in finder.find(sys.modules[__name__], "here")}
    assert found["here.factorial"].examples


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_pickles_by_name(protocol):
    """As functions do: no settings, no clients."""
    assert pickle.loads(pickle.dumps(factorial, protocol)) is factorial  # noqa: S301
    assert copy.deepcopy(factorial) is factorial
    assert b"A100" not in pickle.dumps(factorial, protocol)


def test_generators_and_coroutines_stay_what_they_are():
    """Locally nothing changes."""
    assert list(count(3)) == [0, 1, 2]
    assert asyncio.run(later(7)) == 7

    async def all_of(iterator):
        return [each async for each in iterator]

    assert asyncio.run(all_of(count_later(2))) == [0, 1]
    kinds = [each.spec.target.kind for each in (factorial, count, later, count_later)]
    assert kinds == ["function", "generator", "function", "generator"]
    assert [each.spec.target.is_async for each in (later, count_later)] == [True, True]


def test_a_class_is_set_up_once_and_called():
    """Also from many threads at a time."""
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(Transcribe, [b"abc"] * 50)) == {"model en 3"}
    assert _Transcribe.made == 1
    expected = "(audio: 'bytes', *, language: 'str' = 'en') -> 'str'"
    assert str(inspect.signature(Transcribe)) == expected
    assert Transcribe.spec.target.kind == "class"


def test_a_web_app_is_made_here_when_called():
    """The function, not the app, is what is shipped."""
    assert inspect.iscoroutinefunction(site())
    assert site.spec.target.kind == "web"
    assert site.spec.public


def test_names_become_deployment_names():
    """Lower case and hyphens; an own name wins."""

    def embed_all_Texts(): ...  # noqa: N802

    assert gpuhub.function(embed_all_Texts).spec.name == "embed-all-texts"
    assert Transcribe.spec.name == "speech"
    with pytest.raises(gpuhub.SpecError, match=r"FunctionSpec\.name: .*got 'Bad Name'"):
        gpuhub.function(name="Bad Name")(len)


def test_methods_are_refused():
    """Where they are written, or where one is made of a function later."""
    with pytest.raises(gpuhub.SpecError, match=r"Model\.predict is a method"):

        class Model:
            @gpuhub.function
            def predict(self): ...

    class Holder:
        held = factorial

    assert Holder.held is factorial
    with pytest.raises(gpuhub.SpecError, match="used as a method of Holder"):
        Holder().held(3)


def _no_call():
    class Bare: ...

    return Bare


def _needs_arguments():
    class Needy:
        def __init__(self, path): ...

        def __call__(self): ...

    return Needy


def _generator_call():
    class Generator:
        def __call__(self):
            yield 1

    return Generator


@pytest.mark.parametrize(
    ("decorated", "message"),
    [
        (3, "decorates functions and classes"),
        (_no_call(), "has no __call__"),
        (_needs_arguments(), "__init__ needs path"),
        (_generator_call(), "__call__ is a generator"),
    ],
)
def test_what_cannot_run_remotely_is_refused_at_once(decorated, message):
    """With the next step."""
    with pytest.raises(gpuhub.SpecError, match=message) as caught:
        gpuhub.function(decorated)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gpu": "A1000"}, "A1000"),
        ({"gpu": 3}, "gpu"),
        ({"timeout": "soon"}, r"FunctionSpec\.timeout: .*got 'soon'"),
        ({"timeout": 0}, r"FunctionSpec\.timeout: .*greater than 0.*got 0"),
        ({"retries": -1}, r"FunctionSpec\.retries"),
        ({"time_out": 3}, "unknown field; did you mean 'timeout'"),
        ({"env": {"A B": "x"}}, r"'A B' is no environment variable name"),
        ({"env": {"A": "x"}, "secrets": ["A"]}, "A is set twice"),
        ({"secrets": ["a-b"]}, "give one"),
        ({"volumes": {"models": gpuhub.Volume("m")}}, "a mount path is absolute"),
        ({"min_cuda": "new"}, "min_cuda"),
        ({"snapshot": "disk"}, "snapshot"),
    ],
)
def test_a_wrong_setting_is_named_where_it_is_written(settings, message):
    """Field, value and rule, before anything else happens."""
    with pytest.raises(gpuhub.SpecError, match=message):
        gpuhub.function(**settings)(len)


def test_streaming_and_calling_are_not_mixed_up():
    """Each says which one to use."""
    with pytest.raises(gpuhub.SpecError, match=r"iterate over count\.stream"):
        count.remote(3)
    with pytest.raises(gpuhub.SpecError, match=r"call factorial\.remote"):
        factorial.stream(3)


def test_every_public_name_is_there_and_no_builtin_is_shadowed():
    """``from gpuhub import *`` is harmless."""
    import builtins

    for name in gpuhub.__all__:
        assert getattr(gpuhub, name) is not None
        assert not hasattr(builtins, name)
    assert set(gpuhub.__all__) <= set(dir(gpuhub))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gpuhub.nothing


def test_no_module_takes_the_place_of_a_public_name():
    """Whatever was imported first, ``gpuhub.function`` is the decorator."""
    import importlib
    import pkgutil
    import types

    for module in pkgutil.walk_packages(gpuhub.__path__, "gpuhub."):
        if not module.name.startswith(("gpuhub.worker.__main__", "gpuhub.cli", "gpuhub.testing")):
            importlib.import_module(module.name)
    for name in gpuhub.__all__:
        assert not isinstance(getattr(gpuhub, name), types.ModuleType), name
