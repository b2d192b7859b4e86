"""A laboratory: Beam's adapter in a workspace, and a gateway that a test scripts."""

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
from gpuhub.spec import FunctionSpec, Image
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.worker.target import Target
from gpuhub.workspace import Workspace
from tests.adapters.beam.answers import WORKSPACE

PROJECT = Path(__file__).parent / "project"
TARGET = Target("beam_shop", "echo")
SMALL = Bundle({"manifest.json": b"{}", "app/beam_shop.py": b"pass\n"}, TARGET, "ab" * 32)


@dataclass
class Lab:
    """One workspace with Beam, one step below the engine."""

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
        given = {"app": "lab", "name": "echo", "target": bundle.target}
        given |= {"image": Image(python="3.12"), **settings}
        plan: Plan = self.adapter.plan(FunctionSpec(**given), bundle)
        return plan.with_facts(fingerprint="f" * 64)


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Make laboratories; arguments are Beam's settings."""
    made: list[Lab] = []

    def make(**options: Any) -> Lab:
        clock = VirtualClock()
        workspace = Workspace(
            "beam",
            app="lab",
            root=tmp_path,
            provider_options={"workspace": WORKSPACE, **options},
            environ={"BEAM_TOKEN": "beam_SECRET"},
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
    """The hosted gateway, answering what a test says and nothing else."""
    with respx.mock(using="httpx", assert_all_called=False) as router:
        yield router


@pytest.fixture(scope="session")
def shop() -> Iterator[ModuleType]:
    """The module of functions."""
    sys.path.insert(0, str(PROJECT))
    yield importlib.import_module("beam_shop")
    sys.path.remove(str(PROJECT))
    del sys.modules["beam_shop"]


@pytest.fixture(scope="session")
def bundle_of(shop: ModuleType) -> Callable[[str], Bundle]:
    """Give the bundle of a function of the module."""
    made: dict[str, Bundle] = {}

    def bundle(name: str) -> Bundle:
        if name not in made:
            made[name] = build_bundle(getattr(shop, name), PROJECT, web=name == "app")
        return made[name]

    return bundle
