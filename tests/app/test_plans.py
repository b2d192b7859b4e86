"""What each provider makes of the application's settings, and what changes between two of them."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import gpuhub
from gpuhub.cli.app import app

ROOT = Path(__file__).parents[2]
APP = ROOT / "examples" / "app"
PAGE = ROOT / "docs" / "one-app.md"
GOLDEN = Path(__file__).with_name("golden")
PROVIDERS = ("modal", "runpod", "beam", "baseten", "replicate")
TARGETS = ("triage/functions.py", "triage/site.py")
SHOWN = ("triage/functions.py::classify", "triage/functions.py::remember", "triage/site.py")
BEGIN, END = "<!-- table: written by tests/app/test_plans.py -->\n", "<!-- end -->"
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))


@pytest.fixture
def functions(monkeypatch) -> Iterator[dict[str, Any]]:
    """The application's functions by name, imported from where it is."""
    monkeypatch.syspath_prepend(str(APP))
    found = {}
    for module in ("triage.functions", "triage.site"):
        for name in (loaded := importlib.import_module(module)).__all__:
            found[name] = getattr(loaded, name)
    yield found
    for name in [each for each in sys.modules if each.partition(".")[0] == "triage"]:
        del sys.modules[name]


def fidelities(function: Any, provider: str) -> dict[str, str]:
    """By field that the function sets: how it arrives. Empty: it cannot run there."""
    workspace = gpuhub.Workspace(provider, root=APP, environ={})
    try:
        plan = function.in_workspace(workspace).plan(refuse=False)
    except gpuhub.SpecError:
        return {}
    finally:
        workspace.close()
    return {row.field: row.fidelity.value for row in plan.rows if row.set}


def table(functions: dict[str, Any]) -> str:
    """Write what becomes of what is set, function by function, as Markdown."""
    lines = []
    for name, function in functions.items():
        found = {provider: fidelities(function, provider) for provider in PROVIDERS}
        fields = list(dict.fromkeys(field for each in found.values() for field in each))
        lines += ["", f"### `{name}`", "", f"| Setting | {' | '.join(PROVIDERS)} |"]
        lines.append(f"| --- |{' --- |' * len(PROVIDERS)}")
        for field in fields:
            cells = [found[provider].get(field, "cannot run") for provider in PROVIDERS]
            lines.append(f"| `{field}` | {' | '.join(cells)} |")
    return "\n".join(lines[1:]) + "\n"


def test_the_table_in_the_docs_is_what_is_planned(functions):
    """Written by this test with UPDATE_GOLDEN=1."""
    head, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    written, _, tail = rest.partition(END)
    now = table(functions)
    if UPDATE:
        PAGE.write_text(f"{head}{BEGIN}{now}{END}{tail}", "utf-8")
        return
    assert written == now, "run with UPDATE_GOLDEN=1"


def compared(target: str, first: str, second: str) -> tuple[int, dict[str, Any]]:
    """Run ``gpuhub diff``: its exit code and its answer."""
    arguments = ["diff", str(APP / target), "--from", first, "--to", second]
    done = CliRunner().invoke(app, [*arguments, "--json", "--exit-code"])
    assert done.stdout, done.stderr
    return done.exit_code, json.loads(done.stdout)


def readable(document: dict[str, Any]) -> dict[str, Any]:
    """Give a comparison with one line for each side of a row, without the reasons."""
    prices = {side: cost["worker_usd_per_hour"] for side, cost in document["cost"].items()}
    facts = {"refused": document["refused"], "worker_usd_per_hour": prices}
    rows = {row["field"]: [line(row[side]) for side in ("from", "to")] for row in document["rows"]}
    return facts | {"rows": rows}


def line(facts: dict[str, Any]) -> str:
    """Give one side of a row."""
    native = facts["native"] or "-"
    return f"{facts['fidelity']}: {native} = {json.dumps(facts['value'], sort_keys=True)}"


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(PROVIDERS, 2)))
def test_what_changes_with_the_one_line(first, second, monkeypatch, functions):
    """A reviewer reads in the golden files what a move means."""
    monkeypatch.setenv("HOME", "/nonexistent")
    answers = [compared(target, first, second) for target in SHOWN]
    assert [code for code, _ in answers] == [1, 1, 1]
    found = {}
    for _, answer in answers:
        [document] = answer["deployments"]
        found[document["deployment"]] = readable(document)
    text = json.dumps(found, indent=1) + "\n"
    place = GOLDEN / f"diff-{first}-{second}.json"
    if UPDATE:
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, "utf-8")
        return
    assert place.read_text("utf-8") == text, "run with UPDATE_GOLDEN=1"


@pytest.mark.parametrize("provider", ["mock", *PROVIDERS])
def test_nothing_changes_without_a_move(provider, functions):
    """The diff of a provider with itself is empty, and ends with 0."""
    for target in TARGETS:
        code, answer = compared(target, provider, provider)
        assert code == 0
        assert all(each["same"] and not each["rows"] for each in answer["deployments"])
