"""`gpuhub init`: the project it writes works as it is."""

from __future__ import annotations

import subprocess
import sys

import pytest


def test_files(tmp_path, cli, monkeypatch):
    """Named after the folder."""
    monkeypatch.chdir(tmp_path)
    answer = cli("init", "My Search", "--json")
    assert answer.code == 0, answer.err
    folder = tmp_path / "My Search"
    assert answer.json["app"] == "my-search"
    assert all((folder / name).is_file() for name in answer.json["files"])
    assert 'app = "my-search"' in (folder / "gpuhub.toml").read_text()
    assert ".gpuhub/" in (folder / ".gitignore").read_text()


def test_here_by_default(tmp_path, cli, monkeypatch):
    """And says what to do next."""
    monkeypatch.chdir(tmp_path)
    answer = cli("init", "--app", "search")
    assert "wrote app.py" in answer.out
    assert "next: gpuhub deploy app.py" in answer.err
    assert 'app = "search"' in (tmp_path / "gpuhub.toml").read_text()


def test_never_overwrites(tmp_path, cli, monkeypatch):
    """One file that exists, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("mine")
    answer = cli("init", "--json")
    assert answer.code == 2
    assert "README.md" in answer.error["message"]
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_unknown_provider(tmp_path, cli, monkeypatch):
    """Refused before anything is written."""
    monkeypatch.chdir(tmp_path)
    assert cli("init", "new", "--provider", "nowhere").code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_project_deploys_and_passes_its_test(tmp_path, cli, monkeypatch):
    """Every command of its README works."""
    monkeypatch.chdir(tmp_path)
    cli("init", "search")
    monkeypatch.chdir(tmp_path / "search")
    assert cli("plan", "app.py").code == 0
    assert cli("deploy", "app.py").code == 0
    arguments = ["query=moon over the sea", 'texts=["the moon rises", "bread and butter"]']
    result = cli("invoke", "rank", *arguments, "--json").json["result"]
    assert [each["text"] for each in result] == ["the moon rises", "bread and butter"]
    assert cli("delete", "rank", "--yes").code == 0
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    tested = subprocess.run(
        command, cwd=tmp_path / "search", capture_output=True, text=True, timeout=240, check=False
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "2 passed" in tested.stdout
