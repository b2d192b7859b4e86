"""The mock in other clothes: behind a credential, with fewer features, or broken on purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gpuhub_mock
from gpuhub.adapter import Feature, Support
from gpuhub.plan import Fidelity
from gpuhub.settings import Credential
from gpuhub.testing.contract import Subject
from gpuhub.testing.contract.wrappers import WrappedAdapter, WrappedModule

TOKEN = Credential("token", "MOCK_CONTRACT_TOKEN", help="make one up")

LIMITED = tuple(
    feature for feature in Feature if feature not in (Feature.ENV, Feature.INVOKE, Feature.CPU_ONLY)
)
"""What the limited double declares unsupported: everything but calling a plain function."""

SEAM = {
    *("deploy", "find", "connect", "submit", "poll", "stream", "cancel", "status", "scale"),
    *("logs", "versions", "rollback", "warm", "delete"),
}


def subject(make_module: Any) -> Subject:
    """A double of the mock; ``make_module`` wraps the module of a fresh provider."""

    def make_emulator() -> Any:
        cloud: Any = gpuhub_mock.contract_emulator()
        cloud.adapter_module = make_module(cloud.adapter_module)
        return cloud

    return Subject(gpuhub_mock, make_emulator)


class AuthenticatedAdapter(WrappedAdapter):
    """Needs a credential for every request, as real providers do."""

    def __init__(self, inner: Any, module: Any) -> None:
        super().__init__(inner, module)
        self.settings = module.settings

    def __getattr__(self, name: str) -> Any:
        if name in SEAM:
            self.settings.credential(TOKEN.name)
        return super().__getattr__(name)


class Authenticated(WrappedModule):
    """The mock behind a credential."""

    adapter_class: Any = AuthenticatedAdapter
    settings: Any

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self.INFO = replace(module.INFO, credentials=(TOKEN,))

    def create(self, settings: Any) -> Any:
        """Keep the settings for the adapter."""
        self.settings = settings
        return super().create(settings)


class LimitedAdapter(WrappedAdapter):
    """Declares nearly everything unsupported, and plans accordingly."""

    def __init__(self, inner: Any, module: Any) -> None:
        super().__init__(inner, module)
        refusals = dict.fromkeys(LIMITED, Support.unsupported("the double leaves it out"))
        self.capabilities = {**inner.capabilities, **refusals}

    def plan(self, spec: Any, bundle: Any) -> Any:
        """Answer «unsupported» for every field that a feature of that name is missing for."""
        plan = self._inner.plan(spec, bundle)
        lacking = {feature.value.split(".")[0] for feature in LIMITED}
        rows = [
            replace(row, native=None, value=None, fidelity=Fidelity.UNSUPPORTED, reason="left out")
            if row.field.split(".")[0] in lacking
            else row
            for row in plan.rows
        ]
        return replace(plan, rows=tuple(rows))


class Limited(WrappedModule):
    """The mock with nothing but plain calls."""

    adapter_class = LimitedAdapter
