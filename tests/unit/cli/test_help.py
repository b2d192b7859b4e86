"""Help, version, completion; and that no verb lacks a test of its --json."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from gpuhub.cli.app import app
from gpuhub.cli.completion import complete_deployments, complete_providers
from gpuhub.cli.exit_codes import EXIT_CODES
from gpuhub.registry import available

VERBS = (
    *("init", "plan", "diff", "deploy", "serve", "invoke", "map", "status", "scale", "logs"),
    *("versions", "rollback", "warm", "delete", "export", "doctor", "providers", "gpus"),
    "emulator",
)


def commands():
    """Every verb and sub-verb with its parameters."""
    root: Any = get_command(app)
    for name, command in root.commands.items():
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", each) for inner, each in command.commands.items())
        else:
            yield name, command


def test_all_verbs_are_there():
    """Those of the design, and the calls."""
    names = {name for name, _ in commands()}
    assert set(VERBS) <= names
    assert {"call state", "call result", "call cancel"} <= names


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=str)
def test_every_verb_has_json_and_verbose_and_help(name, command):
    """The same options everywhere, each parameter explained."""
    options = {option for each in command.params for option in each.opts}
    assert {"--json", "--verbose", "-v"} <= options
    assert command.help
    explained = [each.name for each in command.params if getattr(each, "help", None)]
    assert len(explained) == len(command.params)


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_every_verb_has_a_test_of_its_json(name):
    """A verb whose --json nobody tests is found here."""
    verb = ", ".join(f'"{word}"' for word in name.split())
    pattern = re.compile(rf"\((?:\n\s*)?\[?{re.escape(verb)}[,\]][^)]*\"--json\"", re.DOTALL)
    tests = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    assert any(pattern.search(text) for text in tests), name


def test_help_lists_verbs_and_exit_codes(cli):
    """In one place."""
    answer = cli("--help")
    assert answer.code == 0
    assert all(re.search(rf"\b{verb}\b", answer.out) for verb in VERBS)
    text = " ".join(answer.out.split())
    assert all(f"{code} {meaning}" in text for code, meaning in EXIT_CODES.items())


def test_version(cli):
    """The distribution's."""
    assert cli("--version").out == f"gpuhub {version('gpuhub-sdk')}\n"


def test_providers_are_completed(acme):
    """The installed adapters."""
    assert complete_providers("") == list(available())
    assert {"acme", "mock"} <= set(available())
    assert sorted(complete_providers("mo")) == ["mock", "modal"]


def test_deployments_are_completed(deployed):
    """From the journal, without the app's name."""
    assert complete_deployments("") == ["double", "spell"]
    assert complete_deployments("sp") == ["spell"]


def test_completion_makes_nothing_and_never_fails(project):
    """No journal, or settings that are wrong."""
    assert complete_deployments("") == []
    assert not (project / ".gpuhub").exists()
    (project / "gpuhub.toml").write_text("broken =")
    assert complete_deployments("") == []


def test_shell_completion(deployed, shell):
    """As the shell asks for it: words so far in, candidates out."""
    asked = {"_GPUHUB_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
    answer = shell(**asked, COMP_WORDS="gpuhub status ")
    assert answer.out.split() == ["double", "spell"]
    answer = shell(**asked, COMP_WORDS="gpuhub providers ")
    assert answer.out.split() == list(available())


def test_install_completion_is_offered(cli):
    """Typer's own option."""
    assert "--install-completion" in cli("--help").out
