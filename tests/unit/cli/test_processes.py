"""The whole life of a deployment, each command in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_life_of_a_deployment(project, shell):
    """Deploy, call, update, roll back, delete: nothing is shared but the disk."""
    assert shell("deploy", "app.py").code == 0
    found = shell("status", "--json").json["deployments"]
    assert [each["deployment"] for each in found] == ["shop-double", "shop-spell"]
    assert json.loads(shell("invoke", "double", "number=4").out) == {"value": 8, "label": "x"}

    file = project / "app.py"
    file.write_text(file.read_text().replace("2 * number", "3 * number"))
    assert shell("deploy", "app.py", "--json").json["deployments"][0]["version"] == "2"
    assert shell("invoke", "double", "number=4", "--json").json["result"]["value"] == 12
    versions = shell("versions", "double", "--json").json["versions"]
    assert [(each["id"], each["current"]) for each in versions] == [("2", True), ("1", False)]

    assert shell("rollback", "double", "--json").json["version"] == "1"
    assert shell("invoke", "double", "number=4", "--json").json["result"]["value"] == 8

    call = shell("invoke", "double", "number=5", "--spawn").out.strip()
    assert shell("call", "result", call, "--json").json["result"]["value"] == 10

    assert shell("delete", "app.py", "--yes").code == 0
    assert shell("invoke", "double", "number=4").code == 8
    assert shell("status", "--json").json == {"deployments": []}


@pytest.mark.slow
def test_closed_pipe_is_no_error(project, shell):
    """`gpuhub gpus | head -1` says nothing on standard error."""
    script = "from gpuhub.cli import main; main()"
    command = f"{sys.executable} -c '{script}' gpus --json | head -1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.stdout == "{\n"
    assert "error" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_ctrl_c_ends_a_log_that_is_followed(deployed, cli):
    """With 130 and without a traceback."""
    assert cli("warm", "double").code == 0
    following = subprocess.Popen(
        [
            *(sys.executable, "-c", "from gpuhub.cli import main; main()"),
            *("logs", "double", "--follow", "--json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
        text=True,
    )
    assert following.stdout
    assert json.loads(following.stdout.readline())["message"]
    following.send_signal(signal.SIGINT)
    _, errors = following.communicate(timeout=40)
    assert (following.returncode, errors) == (130, "")
