"""A laboratory: one mock provider, its adapter, and functions to deploy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import SecretStr

from gpuhub import _drive
from gpuhub._http import Connections
from gpuhub._retry import RetryPolicy
from gpuhub.adapter import CallOptions, CallRef, CallState, DeploymentRef
from gpuhub.bundle import Bundle, build_bundle
from gpuhub.plan import Plan
from gpuhub.settings import ProviderSettings
from gpuhub.spec import FunctionSpec
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub_mock.adapter import MockAdapter
from gpuhub_mock.emulator import CloudOptions, MockCloud
from gpuhub_mock.info import adapter_of
from tests.adapters.loading import imported

PROJECT = Path(__file__).parent / "project"


@dataclass
class Lab:
    """Deploys and calls functions of the project, one step below the engine."""

    functions: ModuleType
    cloud: MockCloud
    bundles: dict[str, Bundle] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.adapter: MockAdapter = adapter_of(self.cloud)
        self.clock: Any = self.cloud.clock
        settings = ProviderSettings(provider="mock", values={}, credentials=(), secrets={})
        policy = RetryPolicy(random=lambda: 0.0)
        self.connections = Connections(self.adapter.info, settings, clock=self.clock, policy=policy)
        self.io = self.connections.blocking()

    def run(self, coroutine: Any) -> Any:
        return _drive.run(coroutine)

    def bundle(self, name: str) -> Bundle:
        if name not in self.bundles:
            function = getattr(self.functions, name)
            self.bundles[name] = build_bundle(function, PROJECT, web=name == "site")
        return self.bundles[name]

    def plan(self, function: str, /, local: dict[str, str] | None = None, **settings: Any) -> Plan:
        bundle = self.bundle(function)
        given = {"app": "lab", "name": function.lower().replace("_", "-"), **settings}
        spec = FunctionSpec(**given, target=bundle.target)
        values = {key: SecretStr(value) for key, value in (local or {}).items()}
        plan = self.adapter.plan(spec, bundle)
        return plan.with_facts(secret_values=values, fingerprint=json.dumps(settings, default=str))

    def deploy(self, function: str, /, **settings: Any) -> DeploymentRef:
        plan = self.plan(function, **settings)
        ref: DeploymentRef = self.run(self.adapter.deploy(self.io, plan, None))
        return ref

    def submit(
        self, ref: DeploymentRef, wait_s: float = 30.0, key: str = "", **arguments: Any
    ) -> CallState:
        options = CallOptions(None, wait_s, key)
        payload = json.dumps(arguments).encode()
        state: CallState = self.run(self.adapter.submit(self.io, ref, payload, options))
        return state

    def result(self, ref: DeploymentRef, wait_s: float = 30.0, **arguments: Any) -> Any:
        return value_of(self.submit(ref, wait_s, **arguments))

    def spawn(self, ref: DeploymentRef, key: str = "", **arguments: Any) -> CallRef:
        return self.submit(ref, 0.0, key, **arguments).ref

    def poll(self, call: CallRef, wait_s: float = 0.0) -> CallState:
        state: CallState = self.run(self.adapter.poll(self.io, call, wait_s))
        return state

    def stream(self, ref: DeploymentRef, **arguments: Any) -> Iterator[Any]:
        payload = json.dumps(arguments).encode()
        options = CallOptions(None, 30.0)
        chunks = self.adapter.stream(self.io, ref, payload, options)
        return (json.loads(chunk) for chunk in _drive.sync_iter(chunks))

    def status(self, ref: DeploymentRef) -> Any:
        return self.run(self.adapter.status(self.io, ref))

    def messages(self, ref: DeploymentRef) -> list[str]:
        lines = _drive.sync_iter(self.adapter.logs(self.io, ref, None, follow=False))
        return [line.message for line in lines]


def value_of(state: CallState) -> Any:
    """Give the result in an envelope."""
    assert state.error is None, state.error
    assert state.output is not None, state
    return json.loads(state.output)["result"]


@pytest.fixture(scope="session")
def functions() -> Iterator[ModuleType]:
    """The module of functions, imported as the project would."""
    with imported(PROJECT, "mock_functions") as module:
        yield module


@pytest.fixture(scope="session")
def bundles() -> dict[str, Bundle]:
    """Bundles by function, made once."""
    return {}


@pytest.fixture
def make_lab(functions: ModuleType, bundles: dict[str, Bundle]) -> Iterator[Callable[..., Lab]]:
    """Make laboratories; options as :class:`CloudOptions` takes them, and ``clock``."""
    made: list[Lab] = []

    def make(clock: Any = None, **options: Any) -> Lab:
        cloud = MockCloud(CloudOptions(**options), clock or VirtualClock())
        made.append(Lab(functions, cloud, bundles))
        return made[-1]

    yield make
    for lab in made:
        lab.cloud.stop()


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    """One laboratory with the default options."""
    return make_lab()
