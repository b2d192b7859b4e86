"""A project on disk, the command run in this process, and a stranger's adapter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gpuhub.cli.app import app

APP = '''"""Functions of the tests."""

from collections.abc import Iterator

import gpuhub


@gpuhub.function(gpu="L4", timeout=60)
def double(number: int, label: str = "x") -> dict[str, object]:
    """Give twice the number; odd ones above 100 are refused."""
    print(f"doubling {number}")
    if number > 100 and number % 2:
        raise ValueError(f"{number} is too odd")
    return {"value": 2 * number, "label": label}


@gpuhub.function
def spell(word: str) -> Iterator[str]:
    """Give the letters."""
    yield from word


plain = 1
'''

WARM = """import gpuhub


@gpuhub.function(gpu="L4", scaling=gpuhub.Scaling(min_workers=2))
def ready(number: int) -> int:
    return number
"""


@dataclass
class Answer:
    """What a run of the command printed.

    Attributes:
        code: Exit code.
        out: Standard output.
        err: Standard error.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document of ``--json``."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The documents of ``--json`` lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """The error of ``--json``: the last line, after whatever the user's code printed."""
        found: dict[str, Any] = json.loads(self.err.splitlines()[-1])["error"]
        return found


Command = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _as_into_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print without colours, at the width of a pipe."""
    for variable in ("FORCE_COLOR", "COLUMNS", "TERMINAL_WIDTH"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Forget the user's modules at the end, and whenever called: a new process would."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)

    def clean() -> None:
        for name in set(sys.modules) - modules:
            if "pytest-" in (getattr(sys.modules[name], "__file__", None) or ""):
                del sys.modules[name]

    yield clean
    clean()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two functions; the working directory."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "gpuhub.toml").write_text('app = "shop"\n')
    (folder / "app.py").write_text(APP)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def warm(project: Path) -> Path:
    """A file whose function keeps two workers warm."""
    file = project / "warm.py"
    file.write_text(WARM)
    return file


@pytest.fixture
def cli() -> Command:
    """Run the command in this process."""

    def run(*arguments: str | Path, text: str | None = None) -> Answer:
        result = CliRunner().invoke(app, [str(each) for each in arguments], input=text)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def deployed(project: Path, cli: Command) -> Path:
    """The project, deployed on the mock."""
    answer = cli("deploy", "app.py")
    assert answer.code == 0, answer.err
    return project


@pytest.fixture
def shell(project: Path) -> Command:
    """Run the command in a process of its own."""

    def run(*arguments: str, text: str = "", **environ: str) -> Answer:
        done = subprocess.run(
            [sys.executable, "-c", "from gpuhub.cli import main; main()", *arguments],
            cwd=project,
            env={**os.environ, **environ},
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


ACME = '''"""A stranger's adapter: the mock under another name, with some differences."""

import dataclasses

import gpuhub_mock
from gpuhub.errors import UnknownGpu
from gpuhub.plan import CostEstimate, Fidelity
from gpuhub.settings import Credential

INFO = dataclasses.replace(
    gpuhub_mock.INFO,
    name="acme",
    title="Acme",
    schemes=("acme",),
    credentials=(Credential("api_key", "ACME_API_KEY", help="make one on the account page"),),
)


class Acme:
    info = INFO

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def plan(self, spec, bundle):
        plan = self._inner.plan(spec, bundle)
        rows = tuple(map(_changed, plan.rows))
        cost = CostEstimate(9.5, 9.5 * spec.scaling.min_workers, "acme, 2026-11-01")
        return plan.with_facts(provider="acme", rows=rows, cost=cost)


def _changed(row):
    if row.field == "scaling.idle_timeout":
        facts = {"fidelity": Fidelity.APPROXIMATE, "value": 300, "reason": "only 300 s"}
        return dataclasses.replace(row, **facts)
    if row.field == "gpu" and "T4" in str(row.value):
        raise UnknownGpu("gpu: Acme has no T4", provider="acme", next_step="take an L4")
    if row.field in ("retries", "volumes") and row.set:
        facts = {"fidelity": Fidelity.UNSUPPORTED, "native": None, "reason": "runs once"}
        return dataclasses.replace(row, **facts)
    return row


def create(settings):
    return Acme(gpuhub_mock.create(settings))


def export(plan, folder):
    (folder / "acme.json").write_text(plan.deployment)


class Played:
    def start(self):
        return {"api_url": "http://127.0.0.1:1"}

    def stop(self):
        print("stopped")


def emulator():
    return Played()
'''


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a stranger's adapter; gives the folder that has it."""
    site = tmp_path / "site"
    facts = site / "gpuhub_acme-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: gpuhub-acme\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[gpuhub.adapters]\nacme = gpuhub_acme\n")
    (site / "gpuhub_acme.py").write_text(ACME)
    monkeypatch.syspath_prepend(str(site))
    return site
