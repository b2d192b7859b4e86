"""What outlives the process: deployments, versions, results; and what must not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpuhub.adapter import Phase, Rollout
from gpuhub.errors import NotFound
from gpuhub.scaling import Scaling
from gpuhub.spec import Secret
from gpuhub.testing.emulator import Fault

PROCESSES = pytest.mark.slow


@pytest.fixture
def make(make_lab, tmp_path):
    """Make laboratories that share a state folder, as processes would."""
    return lambda **options: make_lab(state_dir=tmp_path / "mock", **options)


def test_a_deployment_outlives_the_process(make) -> None:
    """With version, fingerprint and limits; no worker does."""
    first = make()
    ref = first.deploy("add", scaling=Scaling(max_workers=7))
    first.submit(ref, x=1)
    second = make()
    found = second.run(second.adapter.find(second.io, ref.name))
    assert found == ref
    status = second.status(found)
    assert (status.workers.total, status.scaling["max_workers"]) == (0, 7)
    assert second.result(found, x=1) == 2


def test_versions_outlive_the_process(make) -> None:
    """And can be rolled back to."""
    lab = make()
    lab.deploy("variable", env={"PLACE": "one"})
    ref = lab.deploy("variable", env={"PLACE": "two"})
    other = make()
    assert other.result(ref, name="PLACE") == "two"
    other.run(other.adapter.rollback(other.io, ref, "1"))
    assert other.result(ref, name="PLACE") == "one"
    third = make()
    assert third.result(ref, name="PLACE") == "one"
    assert third.deploy("variable", env={"PLACE": "three"}).version == "3"


def test_live_limits_outlive_the_process(make) -> None:
    """Until the next deploy."""
    lab = make()
    ref = lab.deploy("add")
    lab.run(lab.adapter.scale(lab.io, ref, Scaling(max_workers=9)))
    assert make().status(ref).scaling["max_workers"] == 9


def test_active_workers_start_in_the_next_process(make) -> None:
    """They belong to the deployment."""
    ref = make().deploy("add", scaling=Scaling(min_workers=1))
    lab = make()
    assert lab.status(ref).rollout is Rollout.IN_PROGRESS or lab.status(ref).workers.total == 1
    lab.clock.advance(5)
    assert lab.status(ref).workers.idle == 1


def test_another_process_sees_a_change_at_once(make) -> None:
    """Both have it open."""
    one, other = make(), make()
    ref = one.deploy("variable", env={"PLACE": "one"})
    assert other.result(ref, name="PLACE") == "one"
    other.deploy("variable", env={"PLACE": "two"})
    assert one.status(ref).version == "2"
    assert one.result(ref, name="PLACE") == "two"
    other.run(other.adapter.delete(other.io, ref))
    assert one.run(one.adapter.find(one.io, ref.name)) is None
    with pytest.raises(NotFound):
        one.submit(ref, name="PLACE")


def test_a_failed_version_is_remembered(make) -> None:
    """With its log."""
    lab = make()
    lab.deploy("add")
    lab.cloud.fail(Fault("crash", message="no compiler"), on="deploy")
    failed = lab.deploy("add", env={"A": "1"})
    status = make().status(failed)
    assert (status.rollout, status.log_tail[-1]) == (Rollout.FAILED, "no compiler")


def test_logs_outlive_the_process(make) -> None:
    """The last lines, oldest first."""
    lab = make()
    ref = lab.deploy("shout")
    lab.submit(ref, text="remember")
    assert "remember" in make().messages(ref)


def test_a_result_outlives_the_process(make) -> None:
    """Of a spawned call, by its id."""
    lab = make()
    call = lab.spawn(lab.deploy("add"), x=41)
    lab.poll(call, 30)
    state = make().poll(call)
    assert json.loads(state.output or b"") == {"result": 42}


def test_a_queued_call_is_run_by_the_next_process(make) -> None:
    """Once, by whoever asks first."""
    one = make()
    call = one.spawn(one.deploy("add"), x=1)
    one.cloud.stop()
    other = make()
    assert other.poll(call, 30).phase is Phase.SUCCEEDED
    assert list(other.cloud.executions.values()) == [1]
    third = make()
    assert third.poll(call).phase is Phase.SUCCEEDED
    assert third.cloud.executions == {}


def test_a_call_is_run_by_one_process_only(make) -> None:
    """The other finds the result."""
    one, other = make(), make()
    call = one.spawn(one.deploy("add"), x=1)
    assert other.poll(call, 30).phase is Phase.SUCCEEDED
    state = one.poll(call, 30)
    assert json.loads(state.output or b"") == {"result": 2}
    assert [len(lab.cloud.executions) for lab in (one, other)] == [0, 1]


def test_a_result_expires_in_later_processes(make) -> None:
    """By the date on the clock."""
    lab = make()
    call = lab.spawn(lab.deploy("add"), x=1)
    lab.poll(call, 30)
    later = make(result_ttl_s=50)
    later.clock.advance(100)
    assert later.poll(call).phase is Phase.EXPIRED


def test_old_results_are_removed(make) -> None:
    """By the first spawn of a later process."""
    lab = make()
    call = lab.spawn(lab.deploy("add"), x=1)
    lab.poll(call, 30)
    folder = lab.cloud.options.state_dir / "calls"
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    later = make()
    fresh = later.spawn(later.deploy("add"), x=1)
    assert {path.stem for path in folder.iterdir()} == {fresh.id}


def test_a_queued_call_of_a_deleted_deployment(make) -> None:
    """Is gone with it."""
    lab = make()
    ref = lab.deploy("add")
    call = lab.spawn(ref, x=1)
    lab.cloud.stop()
    other = make()
    other.run(other.adapter.delete(other.io, ref))
    with pytest.raises(NotFound):
        other.poll(call)
    with pytest.raises(NotFound):
        make().poll(call)


def test_values_of_secrets_are_not_written(make, tmp_path, monkeypatch) -> None:
    """A later process takes them from its environment, or refuses the call."""
    lab = make()
    secrets = [Secret.from_local_env("LOCAL")]
    ref = lab.deploy("variable", secrets=secrets, local={"LOCAL": "s3cr3t-value"})
    call = lab.spawn(ref, name="PATH")
    lab.poll(call, 30)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"s3cr3t-value" not in path.read_bytes()
    state = make().submit(ref, name="LOCAL")
    assert state.phase is Phase.FAILED
    assert "LOCAL" in str(state.error)
    monkeypatch.setenv("LOCAL", "again")
    assert make().result(ref, name="LOCAL") == "again"


def test_a_deleted_deployment_is_gone(make, tmp_path) -> None:
    """From the folder, too."""
    lab = make()
    ref = lab.deploy("add")
    lab.run(lab.adapter.delete(lab.io, ref))
    assert list((tmp_path / "mock" / "deployments").iterdir()) == []
    assert make().run(lab.adapter.find(lab.io, ref.name)) is None


def test_nothing_is_written_without_a_folder(lab, tmp_path, monkeypatch) -> None:
    """In memory means in memory."""
    monkeypatch.chdir(tmp_path)
    ref = lab.deploy("add")
    lab.result(ref, x=1)
    lab.poll(lab.spawn(ref, x=1), 30)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_damaged_file_is_no_deployment(make, tmp_path, text) -> None:
    """It is not found, and deploying again repairs it."""
    lab = make()
    ref = lab.deploy("add")
    (tmp_path / "mock" / "deployments" / f"{ref.name}.json").write_text(text)
    other = make()
    assert other.run(other.adapter.find(other.io, ref.name)) is None
    assert other.result(other.deploy("add"), x=1) == 2


@PROCESSES
def test_a_call_whose_process_died_has_failed(make) -> None:
    """It may have had its effects, so nobody runs it again."""
    lab = make()
    ref = lab.deploy("add")
    call = lab.spawn(ref, x=1)
    path = lab.cloud.options.state_dir / "calls" / f"{call.id}.json"
    lab.cloud.stop()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    document = json.loads(path.read_text())
    document |= {"phase": "running", "process": ended.pid, "attempts": 1}
    path.write_text(json.dumps(document))
    state = make().poll(call, 5)
    assert state.phase is Phase.FAILED
    assert "process" in str(state.error)


def test_a_call_that_runs_in_another_process(make) -> None:
    """Is running, as far as this one can tell, and is waited for."""
    lab = make()
    call = lab.spawn(lab.deploy("add"), x=1)
    path = lab.cloud.options.state_dir / "calls" / f"{call.id}.json"
    lab.cloud.stop()
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"phase": "running", "process": os.getpid()}))
    other = make()
    assert other.poll(call, 0.1).phase is Phase.RUNNING
    done = {"phase": "succeeded", "output": "eyJyZXN1bHQiOiAyfQ=="}
    path.write_text(json.dumps(document | done))
    assert other.poll(call, 1).output == b'{"result": 2}'


@PROCESSES
def test_bundles_are_written_once(make, tmp_path) -> None:
    """By digest; a second process with the same code writes nothing."""
    make().deploy("add")
    (folder,) = (tmp_path / "mock" / "bundles").iterdir()
    before = (folder / "manifest.json").stat().st_mtime_ns
    time.sleep(0.01)
    make().deploy("add", env={"A": "1"})
    assert (folder / "manifest.json").stat().st_mtime_ns == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert Path(folder, "app", "mock_functions.py").is_file()
