"""A stranger's adapter: the one of docs/writing-an-adapter.md, installed as its own package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "writing-an-adapter.md"
APP = """
import gpuhub

@gpuhub.function(gpu="L4", env={"GREETING": "hello"})
def greet(name: str) -> str:
    import os
    return f"{os.environ['GREETING']} {name}"
"""


def block(name: str) -> str:
    """Give a file of the page."""
    pattern = rf"<!-- file: {re.escape(name)} -->\n```\w+\n(.*?)^```$"
    found = re.search(pattern, PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package as pip would, into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads(block("pyproject.toml"))["project"]
    package = folder / "gpuhub_acme"
    package.mkdir()
    (package / "__init__.py").write_text(block("gpuhub_acme/__init__.py"), "utf-8")
    for name in ("emulator.py", "machines.py"):
        (package / name).write_bytes((HERE / name).read_bytes())
    facts = folder / f"gpuhub_acme-{project['version']}.dist-info"
    facts.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (facts / "METADATA").write_text(metadata, "utf-8")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (facts / "entry_points.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a project whose one line says acme."""
    (tmp_path / "gpuhub.toml").write_text('app = "shop"\nprovider = "acme"\n', "utf-8")
    (tmp_path / "app.py").write_text(APP, "utf-8")
    return tmp_path


def run(site: Path, folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run Python with the package installed; give the exit code and all it said."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=540,
        check=False,
    )
    return ended.returncode, ended.stdout


def check(site: Path, folder: Path, program: str, **variables: str) -> str:
    """Run a program that must end well."""
    code, said = run(site, folder, "-W", "error", "-c", program, **variables)
    assert code == 0, said
    return said


def test_it_is_found_by_its_entry_point(site: Path, project: Path) -> None:
    """The adapter stands beside gpuhub's own, and the schemes lead to it."""
    said = check(
        site,
        project,
        "from gpuhub import registry\n"
        "assert {'acme', 'mock'} <= set(registry.available())\n"
        "print(registry.load('acme').INFO.title, registry.provider_of_scheme('acme'))",
    )
    assert said.split() == ["Acme", "acme"]


@pytest.mark.timeout(300)
def test_it_deploys_and_calls(site: Path, project: Path) -> None:
    """Deploy, no-op redeploy, invoke, spawn, map, error, status, delete, over Acme's HTTP."""
    said = check(site, project, (HERE / "client.py").read_text("utf-8"), ACME_API_KEY="k-123456789")
    assert said.split() == ["ok"]


def test_a_plan_needs_no_credential(site: Path, project: Path) -> None:
    """A call does, and the error names the variable."""
    said = check(
        site,
        project,
        "import gpuhub, app\n"
        "assert app.greet.plan().row('gpu').value == 'l4*1'\n"
        "try:\n"
        "    app.greet.deploy()\n"
        "except gpuhub.MissingCredentials as error:\n"
        "    print(error)",
        ACME_API_KEY="",
    )
    assert "ACME_API_KEY is not set" in said
    assert "make one in Acme's console" in said


def test_what_acme_lacks_is_refused(site: Path, project: Path) -> None:
    """The engine refuses what the stranger's rows call unsupported."""
    said = check(
        site,
        project,
        "import gpuhub, app\n"
        "other = gpuhub.function(name='other', regions='eu')(app.greet.__wrapped__)\n"
        "try:\n"
        "    other.plan()\n"
        "except gpuhub.UnsupportedSetting as error:\n"
        "    print(error.fields)",
    )
    assert said.strip() == "('regions',)"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_is_typed(site: Path, tmp_path: Path) -> None:
    """The page's code passes mypy in strict mode."""
    code, said = run(
        site, tmp_path, "-m", "mypy", "--strict", str(site / "gpuhub_acme/__init__.py")
    )
    assert code == 0, said


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_passes_the_contract_suite(site: Path, tmp_path: Path) -> None:
    """Every test of gpuhub's own suite, in blocking mode."""
    chosen = "sync and not in-loop and not async"
    code, said = run(
        site,
        tmp_path,
        *("-m", "pytest", "--gpuhub-adapter", "gpuhub_acme", "-q", "-W", "error", "-k", chosen),
    )
    assert code == 0, said
    assert int(said.rpartition(" passed")[0].split()[-1]) > 200
    assert "skipped" not in said
