"""What an adapter says about itself, and whether it keeps it."""

# ruff: noqa: S101 - assert is how a test speaks
from __future__ import annotations

import re

import pytest

from gpuhub.adapter import Feature, Level, Support
from gpuhub.errors import SpecError, UnsupportedSetting
from gpuhub.testing.contract.bench import Bench
from gpuhub.testing.contract.fixtures import once
from gpuhub.testing.contract.gates import (
    OPERATIONS,
    SETTINGS,
    check_refused,
    is_lacking,
    plan_of,
    variations_of,
)

__all__ = ["Declaration"]


class Declaration:
    """Facts and capabilities."""

    @once
    def test_facts_are_complete(self, bench: Bench) -> None:
        """Name, title, documentation, schemes and origins are there and agree."""
        info = bench.module.INFO
        assert re.fullmatch(r"[a-z][a-z0-9_-]*", info.name)
        assert info.title
        assert info.docs_url.startswith("http")
        assert bench.adapter.info.name == info.name
        assert len({origin.name for origin in info.origins}) == len(info.origins)
        for origin in info.origins:
            assert origin.setting in info.settings, f"{origin.setting} cannot be set"

    @once
    def test_every_feature_is_declared(self, bench: Bench) -> None:
        """The adapter takes a stand on every feature, and on nothing else."""
        declared = bench.adapter.capabilities
        missing = [feature.value for feature in Feature if feature not in declared]
        assert not missing, f"not declared: {missing}"
        assert all(isinstance(support, Support) for support in declared.values())
        unknown = set(declared) - set(Feature)
        assert not unknown, f"declared, but no feature: {unknown}"

    @once
    @pytest.mark.parametrize("feature", SETTINGS, ids=lambda feature: feature.value)
    def test_a_setting_is_carried_or_refused(self, bench: Bench, feature: Feature) -> None:
        """A declared setting is accepted in some form; an undeclared one is refused."""
        if bench.lacks(feature):
            check_refused(bench, feature)
            return
        objections = []
        for variation in variations_of(feature):
            try:
                plan_of(bench, variation)
            except UnsupportedSetting as error:
                if any(is_lacking(bench, feature, field) for field in error.fields):
                    return  # it cannot be asked for without something the provider lacks
                objections.append(error.message)
            except SpecError as error:
                objections.append(error.message)
            else:
                return
        pytest.fail(f"{feature.value} is declared, but every use is refused: {objections}")

    @pytest.mark.parametrize("feature", OPERATIONS, ids=lambda feature: feature.value)
    def test_an_operation_works_or_is_refused(self, bench: Bench, feature: Feature) -> None:
        """A declared operation does something; an undeclared one is refused before sending."""
        if bench.lacks(feature):
            check_refused(bench, feature)
        else:
            OPERATIONS[feature](bench)()

    @once
    def test_what_is_not_native_says_why(self, bench: Bench) -> None:
        """Emulated and unsupported features come with words for the user."""
        for feature, support in bench.adapter.capabilities.items():
            if support.level is not Level.NATIVE:
                assert len(support.how) > 5, f"{feature.value}: {support.how!r} explains nothing"

    @once
    def test_creating_needs_neither_network_nor_credentials(self, bench: Bench) -> None:
        """An adapter can be made, and can plan, on a machine without any account."""
        with bench.sends_nothing():
            bench.use(bench.open_workspace(environ={}))
            assert bench.function("echo").plan().deployment
