"""What comes with an adapter: registration, extra, page, layers, a word on every feature."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from gpuhub.adapter import Feature
from gpuhub.workspace import Workspace

ADAPTERS = sorted(point.name for point in entry_points(group="gpuhub.adapters"))
NO_VENDOR = {"mock"}
"""Adapters without a provider behind them: no extra, and their page is docs/testing.md."""


@pytest.fixture(scope="session")
def folders(root: Path) -> list[str]:
    """The packages in adapters/."""
    return sorted(path.parent.name for path in (root / "adapters").glob("*/__init__.py"))


@pytest.fixture(scope="session")
def contracts(project):
    """The import-linter contracts by name."""
    return {entry["name"]: entry for entry in project["tool"]["importlinter"]["contracts"]}


def test_the_layers_know_every_adapter(project, contracts, folders):
    """A new folder in adapters/ is in the contracts."""
    assert project["tool"]["importlinter"]["root_packages"] == ["gpuhub", *folders]
    top = contracts["Adapters do not know each other, and gpuhub knows none of them"]["layers"][0]
    assert [name.strip() for name in top.split("|")] == folders


def test_the_layers_agree_on_the_seam(contracts):
    """What adapters may import is what may not know the machinery, with its modules."""
    allowed = [
        line.removeprefix("** -> ")
        for line in contracts["Adapters see the seam only"]["ignore_imports"]
        if line.startswith("** -> ")
    ]
    seam = contracts["The seam does not know the machinery behind it"]["source_modules"]
    assert [name for name in allowed if name.rpartition(".")[0] not in seam] == seam


def test_every_folder_is_registered(project, folders):
    """The entry points name the folders, one each, as the installed metadata does."""
    declared = project["project"]["entry-points"]["gpuhub.adapters"]
    assert sorted(declared.values()) == folders
    assert [f"gpuhub_{name}" for name in sorted(declared)] == folders
    assert set(declared) <= set(ADAPTERS), "run `python -m uv sync`: entry points have changed"


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_is_complete(name, project, root):
    """It is typed, has an extra of its name and a page in the docs."""
    (point,) = entry_points(group="gpuhub.adapters", name=name)
    module = import_module(point.module)
    assert module.__file__ is not None
    assert (Path(module.__file__).parent / "py.typed").exists()
    page = "testing.md" if name in NO_VENDOR else f"providers/{name}.md"
    assert (root / "docs" / page).is_file()
    assert (name in project["project"]["optional-dependencies"]) == (name not in NO_VENDOR)


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_declares_every_feature(name, tmp_path):
    """Nothing is left undeclared, and making an adapter needs no credentials."""
    workspace = Workspace(root=tmp_path, environ={})
    module = workspace.adapter_module(name)
    adapter = module.create(workspace.provider_settings(name))
    assert module.INFO.name == name
    assert set(adapter.capabilities) == set(Feature)


def test_extras_are_independent(project):
    """No extra pulls in another, and none collects them all: SDKs drift apart."""
    extras = project["project"]["optional-dependencies"]
    own = project["project"]["name"]
    needs = [line for lines in extras.values() for line in lines]
    assert not [line for line in needs if re.match(rf"{own}\b", line)]
    assert "all" not in extras


def test_extras_are_not_dependencies(project):
    """What an extra brings is not needed without it."""
    named = {name_of(line) for line in project["project"]["dependencies"]}
    for extra, lines in project["project"]["optional-dependencies"].items():
        assert not named & {name_of(line) for line in lines}, extra


def name_of(requirement: str) -> str:
    """Give the distribution a requirement names."""
    return re.split(r"[^\w.-]", requirement)[0]
