"""A laboratory: Replicate's adapter in a workspace, and answers that a test scripts."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import respx

from gpuhub import _drive
from gpuhub.bundle import Bundle, build_bundle
from gpuhub.plan import Plan
from gpuhub.spec import FunctionSpec
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.worker.target import Target
from gpuhub.workspace import Workspace
from gpuhub_replicate.emulator import ReplicateEmulator

PROJECT = Path(__file__).parent / "project"
TARGET = Target("replicate_shop", "echo")
SMALL = Bundle({"manifest.json": b"{}", "app/replicate_shop.py": b"pass\n"}, TARGET, "ab" * 32)


@dataclass
class Lab:
    """One workspace with Replicate, one step below the engine."""

    workspace: Workspace
    clock: VirtualClock

    def __post_init__(self) -> None:
        self.session = self.workspace.session()
        self.adapter: Any = self.session.adapter
        self.io = self.session.connections.blocking()

    def run(self, coroutine: Any) -> Any:
        return _drive.run(coroutine)

    def items(self, iterator: Any) -> list[Any]:
        return list(_drive.sync_iter(iterator))

    def plan(self, bundle: Bundle = SMALL, **settings: Any) -> Plan:
        """Plan a function called ``lab-echo``, without the engine's checks."""
        given = {"app": "lab", "name": "echo", "target": bundle.target, **settings}
        plan: Plan = self.adapter.plan(FunctionSpec(**given), bundle)
        return plan.with_facts(fingerprint="f" * 64)


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Make laboratories; arguments are Replicate's settings."""
    made: list[Lab] = []

    def make(**options: Any) -> Lab:
        clock = options.pop("clock", None) or VirtualClock()
        workspace = Workspace(
            "replicate",
            app="lab",
            root=tmp_path,
            provider_options=options,
            environ={"REPLICATE_API_TOKEN": "r8_SECRET"},
            clock=clock,
        )
        made.append(Lab(workspace, clock))
        return made[-1]

    yield make
    for lab in made:
        lab.workspace.close()


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    """One with the default settings."""
    return make_lab()


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    """Replicate's hosts, answering what a test says and nothing else."""
    with respx.mock(using="httpx", assert_all_called=False) as router:
        yield router


@pytest.fixture
def provider() -> Iterator[ReplicateEmulator]:
    """Replicate on this machine, with quick workers; not started."""
    emulator = ReplicateEmulator()
    yield emulator
    emulator.stop()


@pytest.fixture
def plant(make_lab: Callable[..., Lab], provider: ReplicateEmulator) -> Lab:
    """A laboratory on that emulator."""
    return make_lab(**provider.start())


@pytest.fixture(scope="session")
def shop() -> Iterator[ModuleType]:
    """The module of functions."""
    sys.path.insert(0, str(PROJECT))
    yield importlib.import_module("replicate_shop")
    sys.path.remove(str(PROJECT))
    del sys.modules["replicate_shop"]


@pytest.fixture(scope="session")
def bundle_of(shop: ModuleType) -> Callable[[str], Bundle]:
    """Give the bundle of a function of the module."""
    made: dict[str, Bundle] = {}

    def bundle(name: str) -> Bundle:
        if name not in made:
            made[name] = build_bundle(getattr(shop, name), PROJECT)
        return made[name]

    return bundle


@pytest.fixture
def echo(bundle_of: Callable[[str], Bundle]) -> Bundle:
    """The bundle of a function that gives its argument back."""
    return bundle_of("echo")
