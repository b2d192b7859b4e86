"""`gpuhub export` and `gpuhub emulator`: what adapters may bring beside the seam."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest


def test_lists_the_adapters_that_have_it(project, cli, acme):
    """Without arguments."""
    assert "acme" in cli("export", "--json").json["providers"]
    assert "acme" in cli("emulator", "--json").json["providers"]
    assert "acme" in cli("export").out
    assert "acme" in cli("emulator").out


def test_an_emulator_package_of_the_adapter_is_found(project, cli):
    """RunPod's lives in a submodule that is not imported before it is asked for."""
    assert "runpod" in cli("emulator", "--json").json["providers"]


def test_export_writes_what_the_adapter_writes(project, cli, acme):
    """One folder, or one below it for each function."""
    answer = cli("export", "app.py::double", "out", "--provider", "acme", "--json")
    assert answer.json["exported"] == [
        {"deployment": "shop-double", "folder": "out", "files": ["acme.json"]}
    ]
    assert (project / "out" / "acme.json").read_text() == "shop-double"
    answer = cli("export", "app.py", "all", "--provider", "acme")
    assert answer.code == 0, answer.err
    assert (project / "all" / "shop-spell" / "acme.json").exists()


def test_export_never_overwrites(project, cli, acme):
    """A folder with something in it is refused."""
    answer = cli("export", "app.py", ".", "--provider", "acme", "--json")
    assert answer.code == 2
    assert "not empty" in answer.error["message"]


@pytest.mark.parametrize("arguments", [["export", "app.py", "out"], ["emulator", "bare"]])
def test_adapter_without_it(project, cli, acme, arguments):
    """Says so, with an exit code of its own and the adapters that have it."""
    module = acme / "gpuhub_acme.py"
    (acme / "gpuhub_bare.py").write_text(module.read_text().partition("def export")[0])
    points = acme / "gpuhub_acme-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text() + "bare = gpuhub_bare\n")
    if arguments[0] == "export":
        arguments = [*arguments, "--provider", "bare"]
    answer = cli(*arguments, "--json")
    assert answer.code == 3
    assert f"'bare' has no {arguments[0]}" in answer.error["message"]
    assert "acme" in answer.error["next_step"]


def test_emulator_plays_until_it_is_ended(project, acme):
    """Prints the variables to use, and stops on SIGTERM."""
    running = subprocess.Popen(
        [sys.executable, "-c", "from gpuhub.cli import main; main()", "emulator", "acme"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(acme)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout
    line = running.stdout.readline()
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=40)
    assert line == "export GPUHUB_ACME_API_URL=http://127.0.0.1:1\n"
    assert "stopped" in errors
    assert running.returncode == 0
