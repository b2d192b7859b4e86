"""Deployment records: before the create, after it, and after a crash between."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpuhub.adapter import DeploymentRef
from gpuhub.errors import JournalError
from gpuhub.journal import Journal
from gpuhub.journal.deployments import KEPT_PER_NAME

REF = DeploymentRef(
    provider="mock", name="demo-embed", address="demo-embed", version="1", fingerprint="f1"
)
PLAN = {"schema": 1, "rows": [{"field": "gpu", "value": None}]}


def deploy(journal, ref=REF, plan=PLAN):
    """Record a whole deploy."""
    record = journal.begin_deploy(
        provider=ref.provider, name=ref.name, fingerprint=ref.fingerprint, plan=plan
    )
    journal.finish_deploy(record, ref)
    return record


def change(path, statement):
    """Change the file behind the journal's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


def test_a_finished_deploy_is_the_current_deployment(path):
    """What was finished is found, with its plan, fingerprint, time and reference."""
    journal = Journal(path, now=lambda: 1234.5)
    record = deploy(journal)
    found = journal.deployment("mock", "demo-embed")
    journal.close()
    assert found is not None
    assert (found.record, found.fingerprint, found.created_at) == (record, "f1", 1234.5)
    assert found.plan == PLAN
    assert found.ref == REF


def test_a_deploy_is_on_the_disk_before_the_create(journal, path):
    """Another connection sees the record as soon as begin_deploy has returned."""
    journal.begin_deploy(provider="mock", name="demo-embed", fingerprint="f1", plan=PLAN)
    with closing(Journal(path)) as other:
        assert [one.name for one in other.unfinished_deploys()] == ["demo-embed"]


def test_begun_and_failed_deploys_are_not_current(journal):
    """Only a finished deploy replaces the one before."""
    deploy(journal)
    facts = {"provider": "mock", "name": "demo-embed", "fingerprint": "f2", "plan": {}}
    journal.fail_deploy(journal.begin_deploy(**facts), "no capacity")
    journal.begin_deploy(**facts)
    assert journal.deployment("mock", "demo-embed").fingerprint == "f1"


def test_the_newest_finished_deploy_is_current(journal):
    """Deploys that overlap: the one that finished last serves."""
    facts = {"provider": "mock", "name": "demo-embed", "plan": {}}
    first = journal.begin_deploy(**facts, fingerprint="f1")
    second = journal.begin_deploy(**facts, fingerprint="f2")
    journal.finish_deploy(second, replace(REF, version="2", fingerprint="f2"))
    journal.finish_deploy(first, replace(REF, version="3"))
    assert journal.deployment("mock", "demo-embed").ref.version == "3"


def test_names_and_providers_are_apart(journal):
    """The same name on another provider is another deployment."""
    deploy(journal)
    assert journal.deployment("mock", "demo-other") is None
    assert journal.deployment("runpod", "demo-embed") is None


def test_deployments_lists_the_current_ones(journal):
    """One record for each name, filtered by provider, sorted."""
    deploy(journal)
    deploy(journal, replace(REF, version="2"))
    deploy(journal, replace(REF, provider="beam"))
    deploy(journal, replace(REF, name="demo-a"))
    journal.begin_deploy(provider="mock", name="demo-begun", fingerprint="", plan={})
    listed = [(one.ref.provider, one.ref.name, one.ref.version) for one in journal.deployments()]
    assert listed == [
        ("beam", "demo-embed", "1"),
        ("mock", "demo-a", "1"),
        ("mock", "demo-embed", "2"),
    ]
    assert [one.ref.provider for one in journal.deployments("beam")] == ["beam"]


def test_scale_keeps_the_plan_and_drops_the_fingerprint(journal):
    """A changed deployment is no no-op for the next deploy, which still knows what was declared."""
    deploy(journal)
    journal.update_deployment(replace(REF, fingerprint=""))
    found = journal.deployment("mock", "demo-embed")
    assert found.ref.fingerprint == ""
    assert found.fingerprint == "f1"
    assert found.plan == PLAN


def test_rollback_brings_the_older_plan_back(journal):
    """After a rollback the record is the one of the version that serves, and back again."""
    old, new = REF, replace(REF, version="2", fingerprint="f2")
    deploy(journal, old, {"version": "old"})
    deploy(journal, new, {"version": "new"})
    journal.update_deployment(replace(new, fingerprint=""))
    journal.update_deployment(old)
    assert journal.deployment("mock", "demo-embed").plan == {"version": "old"}
    journal.update_deployment(new)
    found = journal.deployment("mock", "demo-embed")
    assert (found.plan, found.ref) == ({"version": "new"}, new)


def test_update_of_an_unknown_deployment_makes_a_record(journal):
    """A deployment that another machine made, or an unknown version, has no plan here."""
    journal.update_deployment(REF)
    found = journal.deployment("mock", "demo-embed")
    assert (found.ref, found.plan) == (REF, {})
    journal.update_deployment(replace(REF, version="0", fingerprint="f0"))
    assert journal.deployment("mock", "demo-embed").fingerprint == "f0"


def test_a_forgotten_deployment_is_gone(journal):
    """All its records go, those of others and unfinished ones stay."""
    deploy(journal)
    deploy(journal, replace(REF, version="2"))
    deploy(journal, replace(REF, name="demo-a"))
    journal.begin_deploy(provider="mock", name="demo-embed", fingerprint="f3", plan={})
    journal.forget_deployment("mock", "demo-embed")
    assert journal.deployment("mock", "demo-embed") is None
    assert [one.ref.name for one in journal.deployments()] == ["demo-a"]
    assert [one.fingerprint for one in journal.unfinished_deploys()] == ["f3"]


def test_unfinished_deploys_tell_who_began_them(path):
    """Oldest first, with all that doctor needs to look them up."""
    journal = Journal(path, now=lambda: 5.0)
    for name in ("a", "b", "c"):
        journal.begin_deploy(provider="mock", name=name, fingerprint="f", plan=PLAN)
    journal.resolve_unfinished(2, "made nothing")
    first, second = journal.unfinished_deploys()
    journal.close()
    assert (first.record, first.name, second.name) == (1, "a", "c")
    assert (first.provider, first.fingerprint, first.plan) == ("mock", "f", PLAN)
    assert (first.begun_at, first.pid, first.alive) == (5.0, os.getpid(), True)


def test_an_unfinished_deploy_of_a_dead_process(journal, path, launch):
    """A crash between begin and finish is told from a deploy that still runs."""
    program = """
import sys; from pathlib import Path; from gpuhub.journal import Journal
Journal(Path(sys.argv[1])).begin_deploy(provider="mock", name="a", fingerprint="f", plan={})
print("begun", flush=True); sys.stdin.read()
"""
    crashing = launch(program, path)
    assert crashing.stdout.readline() == "begun\n"
    assert [one.alive for one in journal.unfinished_deploys()] == [True]
    crashing.kill()
    crashing.wait()
    assert [(one.pid, one.alive) for one in journal.unfinished_deploys()] == [(crashing.pid, False)]


def test_a_resolved_deploy_can_still_be_finished(journal):
    """Doctor may have looked while the deploy was running."""
    record = journal.begin_deploy(provider="mock", name="demo-embed", fingerprint="f1", plan={})
    journal.resolve_unfinished(record, "not there yet")
    journal.finish_deploy(record, REF)
    assert journal.deployment("mock", "demo-embed").ref == REF


@pytest.mark.parametrize(
    "end",
    [
        lambda journal: journal.finish_deploy(7, REF),
        lambda journal: journal.fail_deploy(7, "x"),
        lambda journal: journal.resolve_unfinished(7, "x"),
    ],
    ids=["finish", "fail", "resolve"],
)
def test_ending_an_unknown_record_is_an_error(journal, end):
    """A record that is not there means that the file was exchanged: say so."""
    with pytest.raises(JournalError, match="no record 7"):
        end(journal)


def test_record_ids_are_never_used_again(journal):
    """The id of a forgotten deploy does not come to mean another one."""
    first = deploy(journal)
    journal.forget_deployment("mock", "demo-embed")
    assert deploy(journal) > first


def test_old_deploys_are_dropped(journal, path):
    """The file does not grow with every deploy, and what serves is never dropped."""
    for version in range(KEPT_PER_NAME + 5):
        deploy(journal, replace(REF, version=str(version), fingerprint=f"f{version}"))
    journal.update_deployment(replace(REF, version="6", fingerprint="f6"))
    for _ in range(KEPT_PER_NAME + 5):
        record = journal.begin_deploy(provider="mock", name=REF.name, fingerprint="x", plan={})
        journal.fail_deploy(record, "refused")
    journal.close()
    with closing(sqlite3.connect(path)) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM deployments").fetchall()
    assert count <= KEPT_PER_NAME + 1
    assert journal.deployment("mock", REF.name).ref.version == "6"


def test_a_damaged_record_is_named(journal, path):
    """A record that is no JSON is an error of the journal, not of the parser."""
    deploy(journal)
    journal.close()
    change(path, "UPDATE deployments SET ref = '{'")
    with pytest.raises(JournalError, match="a record is damaged"):
        journal.deployment("mock", "demo-embed")


def test_fields_of_a_newer_gpuhub_are_ignored(journal, path):
    """A reference with a field this gpuhub does not know is still read."""
    deploy(journal)
    journal.close()
    change(path, "UPDATE deployments SET ref = json_set(ref, '$.new', 1)")
    assert journal.deployment("mock", "demo-embed").ref == REF


def test_a_read_only_mapping_is_recorded(journal):
    """Plans and the adapter's data may be mappings that JSON does not know."""
    ref = replace(REF, data=MappingProxyType({"id": "1"}))
    deploy(journal, ref, MappingProxyType({"a": [1]}))
    found = journal.deployment("mock", "demo-embed")
    assert (found.ref.data, found.plan) == ({"id": "1"}, {"a": [1]})


def test_a_plan_that_is_no_json_is_not_recorded(journal):
    """The caller's mistake leaves nothing half begun."""
    with pytest.raises(TypeError):
        journal.begin_deploy(provider="mock", name="a", fingerprint="", plan={"a": object()})
    assert journal.unfinished_deploys() == []


TEXTS = st.text(max_size=20)
NAMES = st.text(st.characters(codec="utf-8"), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    ref=st.builds(
        DeploymentRef,
        provider=NAMES,
        name=NAMES,
        address=TEXTS,
        version=TEXTS,
        fingerprint=NAMES,
        url=st.none() | TEXTS,
        scheme=TEXTS,
        made_by_gpuhub=st.booleans(),
        data=st.dictionaries(TEXTS, TEXTS),
    )
)
def test_a_reference_comes_back_as_it_was(journal, ref):
    """Every field of a reference survives the file, in whatever script."""
    deploy(journal, ref)
    found = journal.deployment(ref.provider, ref.name)
    assert found is not None
    assert found.ref == ref
