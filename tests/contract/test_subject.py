"""How the suite finds an adapter and its emulator."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

import gpuhub_mock
from gpuhub.errors import ConfigError
from gpuhub.testing.contract import Subject


@pytest.fixture
def package(monkeypatch):
    """Make a module that can be imported as ``stranger``."""

    def make(**members):
        module = ModuleType("stranger")
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, "stranger", module)
        return module

    return make


def create(settings):
    """Stand for an adapter's factory."""


def test_a_package_with_everything(package):
    """``INFO``, ``create`` and ``contract_emulator`` in one place."""
    module = package(INFO=gpuhub_mock.INFO, create=create, contract_emulator=list)
    found = Subject.load("stranger")
    assert found.module is module
    assert found.make_emulator() == []


def test_a_name_in_the_package(package):
    """``pkg:NAME`` names an adapter module, or what stands for ``create``."""
    other = SimpleNamespace(INFO=gpuhub_mock.INFO, create=create)
    package(INFO=gpuhub_mock.INFO, Adapter=create, other=other, contract_emulator=list)
    assert Subject.load("stranger:other").module is other
    assert Subject.load("stranger:Adapter").module.create is create
    assert Subject.load("stranger:Adapter").module.INFO is gpuhub_mock.INFO


def test_an_emulator_in_a_module_of_its_own(package, monkeypatch):
    """An adapter that does not import its emulator has the factory there."""
    module = package(INFO=gpuhub_mock.INFO, create=create)
    module.__path__ = []
    emulator = SimpleNamespace(contract_emulator=dict)
    monkeypatch.setitem(sys.modules, "stranger.emulator", emulator)
    assert Subject.load("stranger").make_emulator() == {}


@pytest.mark.parametrize(
    ("name", "members", "words"),
    [
        ("no_such_package_at_all", {}, "cannot be imported"),
        ("stranger", {"INFO": 1}, "no INFO and create"),
        ("stranger:Missing", {"INFO": 1, "create": create}, "Missing is no adapter"),
        ("stranger", {"INFO": 1, "create": create}, "no stranger.contract_emulator"),
    ],
)
def test_what_is_missing_is_said(package, name, members, words):
    """The message names the package and the next step."""
    package(**members)
    with pytest.raises(ConfigError, match=words) as caught:
        Subject.load(name)
    assert caught.value.next_step
