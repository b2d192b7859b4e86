"""Deployments: identity first, routable before return, the old version kept on failure."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from gpuhub import _drive, errors
from gpuhub._engine import Deployments
from gpuhub.adapter import EndpointStatus, Feature, Rollout, Support, Version
from gpuhub.scaling import Scaling
from tests.unit.engine.fakes import READY, REF, ROLLING, FakeAdapter, FakeIo, FakeJournal

NEW = replace(REF, version="2")
FAILED = EndpointStatus(
    rollout=Rollout.FAILED, version="1", detail="image not found", log_tail=("pulling", "failed")
)


class Plan(SimpleNamespace):
    """As much of a plan as the engine reads."""

    def to_dict(self):
        return {"schema": 1}


PLAN = Plan(
    provider="fake",
    deployment="demo-embed",
    fingerprint="new",
    warnings=(),
    secret_values={},
    spec=SimpleNamespace(startup_timeout=None, name="embed"),
)


def make(record=None, **scripts):
    """Give deployments over a scripted adapter."""
    adapter: Any = FakeAdapter(**scripts)
    journal: Any = FakeJournal(record=record)
    return Deployments(adapter, journal), adapter, journal, FakeIo()


def test_the_identity_is_written_before_the_create():
    """A client killed in the create leaves a trace of what it was making."""
    deployments, adapter, journal, io = make(find=[None], status=[READY])

    def create():
        assert journal.written() == ["begin_deploy"]
        return NEW

    adapter.scripts["deploy"] = [create]
    ref = _drive.run(deployments.deploy(io, PLAN))
    assert ref == replace(NEW, fingerprint="new")
    assert journal.written() == ["begin_deploy", "finish_deploy"]


def test_deploy_returns_when_routable():
    """Not when created."""
    deployments, adapter, _, io = make(find=[None], deploy=[NEW], status=[ROLLING, ROLLING, READY])
    seen: list[EndpointStatus] = []
    _drive.run(deployments.deploy(io, PLAN, progress=seen.append))
    assert seen == [ROLLING, ROLLING, READY]
    assert len(io.sleeps) == 2
    assert adapter.count("submit") == 0


def test_an_unchanged_plan_sends_nothing_that_changes():
    """The provider keeps the fingerprint."""
    serving = replace(REF, fingerprint="new")
    deployments, adapter, journal, io = make(find=[serving])
    assert _drive.run(deployments.deploy(io, PLAN)) == serving
    assert [line[0] for line in adapter.seen] == ["find"]
    assert journal.lines == []


def test_the_journal_knows_the_fingerprint_of_a_provider_that_keeps_none():
    """As long as the version is the one it wrote down."""
    record = SimpleNamespace(ref=replace(REF, fingerprint="new"))
    deployments, adapter, _, io = make(record, find=[REF])
    _drive.run(deployments.deploy(io, PLAN))
    assert adapter.count("deploy") == 0


def test_a_provider_that_tells_of_a_change_is_believed():
    """Rather than the journal, which did not see it."""
    record = SimpleNamespace(ref=replace(REF, fingerprint="new"))
    found = replace(REF, fingerprint="changed there")
    deployments, adapter, _, io = make(record, find=[found], deploy=[NEW], status=[READY])
    _drive.run(deployments.deploy(io, PLAN))
    assert adapter.count("deploy") == 1


def test_a_version_somebody_else_made_is_replaced():
    """The journal's fingerprint is of another version."""
    record = SimpleNamespace(ref=replace(REF, version="0", fingerprint="new"))
    deployments, adapter, _, io = make(record, find=[REF], deploy=[NEW], status=[READY])
    _drive.run(deployments.deploy(io, PLAN))
    assert adapter.count("deploy") == 1


def test_a_change_that_somebody_else_made_is_looked_at():
    """The version is the same, but the provider counts another change, say of the limits."""
    record = SimpleNamespace(ref=replace(REF, revision="3", fingerprint="new"))
    found = replace(REF, revision="4")
    deployments, adapter, _, io = make(record, find=[found], deploy=[NEW], status=[READY])
    _drive.run(deployments.deploy(io, PLAN))
    assert adapter.count("deploy") == 1


def test_a_failed_rollout_shows_the_log_and_what_serves():
    """The old version is what the journal goes on with."""
    deployments, adapter, journal, io = make(find=[REF], deploy=[NEW], status=[FAILED])
    with pytest.raises(errors.DeployFailed, match="image not found; version 1 still") as caught:
        _drive.run(deployments.deploy(io, PLAN))
    assert caught.value.log_tail == ("pulling", "failed")
    assert "| failed" in str(caught.value)
    assert adapter.count("rollback") == 0
    assert journal.lines[-1] == ("update_deployment", REF)


def test_a_provider_that_serves_the_broken_version_is_rolled_back():
    """The engine puts the previous release back."""
    broken = replace(FAILED, version="2")
    deployments, adapter, _, io = make(find=[REF], deploy=[NEW], status=[broken], rollback=[REF])
    with pytest.raises(errors.DeployFailed):
        _drive.run(deployments.deploy(io, PLAN))
    assert ("rollback", "1") in adapter.seen


def test_a_rollout_that_never_ends_fails():
    """Half an hour of virtual time, then the reason."""
    deployments, adapter, _, io = make(find=[None], deploy=[NEW])
    adapter.scripts["status"] = [ROLLING] * 9999
    with pytest.raises(errors.DeployFailed, match="not routable in time"):
        _drive.run(deployments.deploy(io, PLAN))


def test_a_refused_create_is_recorded_as_failed():
    """It certainly made nothing."""
    deployments, _, journal, io = make(find=[None], deploy=[errors.BadRequest("no such GPU")])
    with pytest.raises(errors.BadRequest):
        _drive.run(deployments.deploy(io, PLAN))
    assert journal.written() == ["begin_deploy", "fail_deploy"]


def test_a_build_that_fails_inside_the_deploy_is_recorded():
    """It made nothing, and its log repeats no secret."""
    plan: Any = Plan(**{**vars(PLAN), "secret_values": {"TOKEN": SecretStr("hunter2-hunter2")}})
    failure = errors.DeployFailed("no hunter2-hunter2", log_tail=("TOKEN=hunter2-hunter2",))
    deployments, _, journal, io = make(find=[None], deploy=[failure])
    with pytest.raises(errors.DeployFailed) as caught:
        _drive.run(deployments.deploy(io, plan))
    assert journal.written() == ["begin_deploy", "fail_deploy"]
    assert "hunter2" not in str(caught.value) + repr(journal.lines)


def test_old_versions_are_retired_once_the_new_one_is_routable():
    """Where the provider lets them run on; not after a deploy that changed nothing, or failed."""

    class Retiring(FakeAdapter):
        async def retire(self, io, ref):
            self.seen.append(("retire", ref.version))

    adapter: Any = Retiring(find=[REF], deploy=[NEW], status=[ROLLING, READY])
    journal: Any = FakeJournal()
    io: Any = FakeIo()
    plan: Any = PLAN
    _drive.run(Deployments(adapter, journal).deploy(io, plan))
    steps = [line[0] for line in adapter.seen]
    assert steps == ["find", "deploy", "status", "status", "retire"]
    assert adapter.seen[-1] == ("retire", NEW.version)
    for scripts in (
        {"find": [replace(REF, fingerprint="new")]},
        {"find": [REF], "deploy": [NEW], "status": [FAILED]},
    ):
        adapter = Retiring(**scripts)
        with suppress(errors.DeployFailed):
            _drive.run(Deployments(adapter, journal).deploy(io, plan))
        assert adapter.count("retire") == 0


def test_a_provider_that_echoes_a_secret_is_not_believed():
    """Neither the error nor the journal repeats it."""
    plan: Any = Plan(**{**vars(PLAN), "secret_values": {"TOKEN": SecretStr("hunter2-hunter2")}})
    echo = errors.BadRequest("env TOKEN=hunter2-hunter2 is too long")
    deployments, _, journal, io = make(find=[None], deploy=[echo])
    with pytest.raises(errors.BadRequest) as caught:
        _drive.run(deployments.deploy(io, plan))
    assert "hunter2" not in str(caught.value) + repr(caught.value)
    assert "hunter2" not in repr(journal.lines)
    failed = replace(FAILED, detail="hunter2-hunter2", log_tail=("export hunter2-hunter2",))
    deployments, _, _, io = make(find=[None], deploy=[NEW], status=[failed])
    with pytest.raises(errors.DeployFailed) as tail:
        _drive.run(deployments.deploy(io, plan))
    assert "hunter2" not in str(tail.value)


def test_a_create_without_an_answer_stays_unfinished():
    """The doctor looks it up at the provider."""
    lost = errors.ProviderUnavailable("dropped", accepted=None)
    deployments, _, journal, io = make(find=[None], deploy=[lost])
    with pytest.raises(errors.ProviderUnavailable):
        _drive.run(deployments.deploy(io, PLAN))
    assert journal.written() == ["begin_deploy"]


def test_a_deployment_is_looked_up_once():
    """No further request for each call."""
    deployments, adapter, _, io = make(find=[REF])
    for _ in range(3):
        assert _drive.run(deployments.resolve(io, "demo-embed")) == REF
    assert adapter.count("find") == 1


def test_what_is_not_deployed_says_how_to_deploy_it():
    """Nothing is deployed behind the user's back."""
    deployments, _, _, io = make(find=[None])
    with pytest.raises(errors.NotDeployed, match="gpuhub deploy"):
        _drive.run(deployments.resolve(io, "demo-embed"))


VERSIONS = [Version("3"), Version("2", current=True), Version("1", fingerprint="old")]


def test_a_rollback_takes_the_version_before_the_current():
    """Not merely the second newest."""
    deployments, adapter, _, io = make(versions=[VERSIONS], rollback=[REF])
    ref = _drive.run(deployments.rollback(io, NEW, None))
    assert ("rollback", "1") in adapter.seen
    assert ref.fingerprint == "old"


@pytest.mark.parametrize("wanted", ["9", None])
def test_a_rollback_to_nothing_names_what_there_is(wanted):
    """Nothing is sent."""
    only = [VERSIONS[2]] if wanted is None else VERSIONS
    deployments, adapter, _, io = make(versions=[only])
    with pytest.raises(errors.NotFound, match=r"it has: .*1"):
        _drive.run(deployments.rollback(io, NEW, wanted))
    assert adapter.count("rollback") == 0


def test_a_live_change_is_undone_by_the_next_deploy():
    """Its deployment no longer has the plan's fingerprint."""
    deployments, adapter, journal, io = make()

    async def scale(*_):
        return replace(REF, fingerprint="new")

    adapter.scale = scale
    ref = _drive.run(deployments.scale(io, REF, Scaling(max_workers=5)))
    assert ref.fingerprint == ""
    assert journal.written() == ["update_deployment"]


def test_changes_start_from_what_is_in_force():
    """Live limits win over declared ones, and the mode follows ``min_workers``."""
    record = SimpleNamespace(plan={"spec": {"scaling": {"max_workers": 8, "idle_timeout": 30}}})
    status = replace(READY, scaling={"max_workers": 4})
    deployments, _, _, io = make(record, status=[status])
    scaling = _drive.run(deployments.changed_scaling(io, REF, {"min_workers": 2}))
    assert scaling == Scaling(mode="active", min_workers=2, max_workers=4, idle_timeout=30)


def test_deleting_what_is_gone_is_no_error():
    """The journal forgets it in any case."""
    deployments, _, journal, io = make(delete=[errors.NotFound("gone")])
    _drive.run(deployments.delete(io, REF))
    assert journal.lines == [("forget_deployment", "fake", "demo-embed")]


@pytest.mark.parametrize(
    ("feature", "use"),
    [
        (Feature.SCALE_LIVE, lambda d, io: d.scale(io, REF, Scaling())),
        (Feature.ROLLBACK, lambda d, io: d.rollback(io, REF, None)),
        (Feature.VERSIONS, lambda d, io: d.versions(io, REF)),
        (Feature.WARM, lambda d, io: d.warm(io, REF)),
        (Feature.STATUS, lambda d, io: d.status(io, REF)),
        (Feature.DELETE, lambda d, io: d.delete(io, REF)),
        (Feature.CONNECT, lambda d, io: d.connect(io, "fake", "x")),
    ],
)
def test_what_a_provider_lacks_is_refused_with_its_reason(feature, use):
    """Before anything is sent."""
    deployments, adapter, _, io = make()
    adapter.capabilities[feature] = Support.unsupported("its API has none")
    with pytest.raises(errors.UnsupportedSetting, match="its API has none"):
        _drive.run(use(deployments, io))
    assert adapter.seen == []
