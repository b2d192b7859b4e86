"""A laboratory: Baseten's adapter in a workspace, and answers that a test scripts."""

from __future__ import annotations

import importlib
import json
import os
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

ROOT = Path(__file__).parents[3]
PROJECT = Path(__file__).parent / "project"
SPECS = ROOT.parent / "shared" / "specs"
VENDOR = ROOT / ".venv-baseten" / "bin" / "python"
TARGET = Target("baseten_shop", "echo")
SMALL = Bundle({"manifest.json": b"{}", "app/baseten_shop.py": b"pass\n"}, TARGET, "ab" * 32)


@dataclass
class Lab:
    """One workspace with Baseten, one step below the engine."""

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
        given = {
            "app": "lab",
            "name": "echo",
            "target": bundle.target,
            "image": Image(python="3.12"),
            **settings,
        }
        plan: Plan = self.adapter.plan(FunctionSpec(**given), bundle)
        return plan.with_facts(fingerprint="f" * 64)


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Make laboratories; arguments are Baseten's settings."""
    made: list[Lab] = []

    def make(**options: Any) -> Lab:
        clock = VirtualClock()
        workspace = Workspace(
            "baseten",
            app="lab",
            root=tmp_path,
            provider_options=options,
            environ={"BASETEN_API_KEY": "bt_SECRET"},
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
    """Baseten's hosts, answering what a test says and nothing else."""
    with respx.mock(using="httpx", assert_all_called=False) as router:
        yield router


@pytest.fixture(scope="session")
def shop() -> Iterator[ModuleType]:
    """The module of functions."""
    sys.path.insert(0, str(PROJECT))
    yield importlib.import_module("baseten_shop")
    sys.path.remove(str(PROJECT))
    del sys.modules["baseten_shop"]


@pytest.fixture(scope="session")
def bundle_of(shop: ModuleType) -> Callable[[str], Bundle]:
    """Give the bundle of a function of the module."""
    made: dict[str, Bundle] = {}

    def bundle(name: str) -> Bundle:
        if name not in made:
            made[name] = build_bundle(getattr(shop, name), PROJECT, web=name == "app")
        return made[name]

    return bundle


@pytest.fixture(scope="session")
def validate() -> Callable[[str, Any], list[str]]:
    """Compare a JSON value with a schema of the management document; gives the problems."""
    return _validator("baseten-management-openapi.json")


@pytest.fixture(scope="session")
def validate_inference() -> Callable[[str, Any], list[str]]:
    """The same with a schema of the inference document."""
    return _validator("baseten-inference-openapi.json")


def _validator(name: str) -> Callable[[str, Any], list[str]]:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    document = SPECS / name
    if not document.is_file():
        pytest.skip(f"{name} is not beside the checkout: bodies NOT validated")
    components = json.loads(document.read_text("utf-8"))["components"]

    def problems(schema: str, value: Any) -> list[str]:
        whole = {"$ref": f"#/components/schemas/{schema}", "components": components}
        found = jsonschema.Draft202012Validator(whole).iter_errors(value)
        return [f"{error.json_path}: {error.message}" for error in found]

    return problems


@pytest.fixture(scope="session")
def vendor() -> Path:
    """A Python with Truss and Baseten's client."""
    if not VENDOR.exists():
        problem = "there is no .venv-baseten with truss and baseten"
        if os.environ.get("CI"):
            pytest.fail(problem)
        pytest.skip(f"{problem}: NOT compared with the vendor's own code")
    return VENDOR
