"""Deploys that were cut off: `gpuhub doctor` settles them, `delete --orphans` removes them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gpuhub.journal import Journal

KILLED = """
import os
from gpuhub.cli import main
from gpuhub.journal import Journal

Journal.finish_deploy = lambda *_: os._exit(9)
main()
"""


@pytest.fixture
def journal(project):
    """The project's journal."""
    opened = Journal(project / ".gpuhub" / "journal.db")
    yield opened
    opened.close()


@pytest.fixture
def orphan(project):
    """`shop-double` at the provider, made by a process that died before it could note so."""
    command = [sys.executable, "-c", KILLED, "deploy", "app.py::double"]
    done = subprocess.run(command, cwd=project, capture_output=True, timeout=60, check=False)
    assert done.returncode == 9, done.stderr.decode()
    return project


def never_created(journal, provider="mock"):
    """Leave the record of a deploy whose create was never sent, by a process that has ended."""
    script = (
        "import sys; from pathlib import Path; from gpuhub.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "facts = {'name': 'shop-lost', 'fingerprint': 'f', 'plan': {}}\n"
        "journal.begin_deploy(provider=sys.argv[2], **facts)\n"
        "journal.close()\n"
    )
    command = [sys.executable, "-c", script, str(journal.path), provider]
    subprocess.run(command, check=True, timeout=50)


def test_doctor_adopts_what_exists(orphan, cli, journal):
    """From then on it is a deployment like any other."""
    [found] = cli("doctor", "--json").json["unfinished_deploys"]
    assert (found["deployment"], found["outcome"]) == ("shop-double", "adopted")
    assert journal.unfinished_deploys() == []
    assert cli("status", "--json").json["deployments"][0]["deployment"] == "shop-double"
    assert cli("doctor", "--json").json["unfinished_deploys"] == []


def test_doctor_closes_what_was_never_created(project, cli, journal):
    """And says so."""
    never_created(journal)
    text = cli("doctor").out
    assert "shop-lost" in text
    assert "it was not created; the record is closed" in " ".join(text.split())
    assert journal.unfinished_deploys() == []


def test_doctor_keeps_what_it_cannot_look_up(project, cli, journal):
    """A provider that cannot be asked leaves the record open, as a problem."""
    never_created(journal, provider="gone")
    document = cli("doctor", "--json").json
    assert document["unfinished_deploys"][0]["outcome"] == "not-looked-up"
    assert "shop-lost on gone" in document["problems"][0]
    assert len(journal.unfinished_deploys()) == 1


def test_doctor_leaves_a_running_deploy_alone(project, cli, journal):
    """Its process still lives: here, this one."""
    journal.begin_deploy(provider="mock", name="shop-now", fingerprint="f", plan={})
    [found] = cli("doctor", "--json").json["unfinished_deploys"]
    assert found["outcome"] == "running"
    assert len(journal.unfinished_deploys()) == 1


def test_delete_orphans(orphan, cli, journal):
    """Asked about, deleted at the provider, closed in the journal."""
    refused = cli("delete", "--orphans", "--json")
    assert refused.code == 12
    assert "shop-double on mock" in refused.error["message"]
    assert cli("delete", "--orphans", "--yes", "--json").json["deleted"] == ["shop-double"]
    assert journal.unfinished_deploys() == []
    assert cli("status", "double").code == 8


def test_delete_orphans_spares_what_a_finished_deploy_knows(deployed, cli, journal):
    """An update that was cut off must not take the version before along."""
    script = (
        "import sys; from pathlib import Path; from gpuhub.journal import Journal\n"
        "facts = {'name': 'shop-double', 'fingerprint': 'f', 'plan': {}, 'provider': 'mock'}\n"
        "Journal(Path(sys.argv[1])).begin_deploy(**facts)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(journal.path)], check=True, timeout=50)
    answer = cli("delete", "--orphans", "--yes", "--json")
    assert answer.json == {"deleted": [], "not_looked_up": []}
    assert cli("status", "double", "--json").json["rollout"] == "ready"
    assert cli("doctor", "--json").json["unfinished_deploys"][0]["outcome"] == "adopted"
    assert cli("invoke", "double", "number=1").code == 0


def test_no_orphans(project, cli):
    """Says so, and needs no yes."""
    answer = cli("delete", "--orphans")
    assert (answer.code, answer.out) == (0, "there are no orphans\n")
