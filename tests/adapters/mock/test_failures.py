"""What goes wrong by itself: workers that do not come up, requests that make no sense."""

from __future__ import annotations

import json
import os
import shutil
import threading

import pytest

from gpuhub.adapter import Phase, Rollout
from gpuhub.errors import BadRequest, CallCancelled, ProviderError
from gpuhub.scaling import Scaling
from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.emulator.runner_inline import InlineRunner
from gpuhub_mock.errors import error_of


@pytest.mark.slow
def test_a_bundle_that_cannot_be_started(make_lab, tmp_path) -> None:
    """The call fails with the process's last words in the log; the next one tries again."""
    lab = make_lab(mode="subprocess", state_dir=tmp_path)
    ref = lab.deploy("add")
    (manifest,) = tmp_path.glob("bundles/*/manifest.json")
    content = manifest.read_text()
    manifest.write_text("{}")
    state = lab.submit(ref, x=1)
    assert state.phase is Phase.FAILED
    assert "before it was up" in str(state.error)
    manifest.write_text(content)
    assert lab.result(ref, x=1) == 2


def test_a_bundle_that_is_gone(make_lab, tmp_path) -> None:
    """No worker can start, so the calls fail, and say why."""
    lab = make_lab(mode="subprocess", state_dir=tmp_path)
    ref = lab.deploy("add")
    shutil.rmtree(tmp_path / "bundles")
    state = lab.submit(ref, x=1)
    assert state.phase is Phase.FAILED
    assert "bundle" in str(state.error)


@pytest.mark.slow
def test_a_setup_that_fails_in_a_process(make_lab) -> None:
    """Fails the roll-out with the traceback."""
    lab = make_lab(mode="subprocess")
    ref = lab.deploy("Broken", scaling=Scaling(min_workers=1))
    lab.clock.advance(2)
    status = lab.status(ref)
    assert status.rollout is Rollout.FAILED
    assert any("no weights" in line for line in status.log_tail)


def test_a_loader_with_a_bug_fails_the_call(lab, monkeypatch) -> None:
    """Whatever it raises: nobody waits for ever, and the next worker is a new try."""

    def broken(runner: InlineRunner) -> None:
        message = "out of luck"
        raise OSError(message)

    ref = lab.deploy("Counter")
    with monkeypatch.context() as patch:
        patch.setattr(InlineRunner, "boot", broken)
        state = lab.submit(ref)
    assert state.phase is Phase.FAILED
    assert "OSError: out of luck" in str(state.error)
    assert lab.result(ref) == 1


def test_an_active_version_without_a_gpu(lab) -> None:
    """Fails its roll-out at once, and the old version goes on serving."""
    ref = lab.deploy("add")
    lab.cloud.out_of_stock.add("H100")
    failed = lab.deploy("add", gpu="H100", scaling=Scaling(min_workers=1))
    status = lab.status(failed)
    assert (status.rollout, status.version) == (Rollout.FAILED, "1")
    assert any("H100" in line for line in status.log_tail)
    assert lab.result(ref, x=1) == 2


def test_an_active_version_without_a_cold_start(make_lab) -> None:
    """Serves at once."""
    lab = make_lab(cold_start_s=0)
    ref = lab.deploy("add", scaling=Scaling(min_workers=1))
    assert lab.status(ref).rollout is Rollout.READY
    assert lab.result(ref, x=1) == 2
    assert lab.clock.now() == 0


def test_a_newer_version_takes_the_place_of_a_pending_one(lab) -> None:
    """Its workers stop, and it never serves."""
    lab.deploy("add", scaling=Scaling(min_workers=1))
    ref = lab.deploy("add", env={"A": "1"}, scaling=Scaling(min_workers=2, max_workers=2))
    assert lab.status(ref).workers.starting == 2
    lab.clock.advance(2)
    assert (lab.status(ref).version, lab.status(ref).workers.idle) == ("2", 2)


def test_min_workers_are_tried_again_after_a_failure(lab) -> None:
    """Not at once, and without a call."""
    ref = lab.deploy("add", scaling=Scaling(min_workers=1), startup_timeout=20)
    lab.clock.advance(2)
    lab.cloud.fail("cold_start", on="start")
    lab.run(lab.adapter.scale(lab.io, ref, Scaling(min_workers=2, max_workers=2)))
    lab.clock.advance(20)
    assert lab.status(ref).workers.total == 1
    lab.clock.advance(12)
    assert lab.status(ref).workers.idle == 2


def test_a_function_that_calls_another(lab) -> None:
    """On the same thread, each with its own variables."""
    inner = lab.deploy("variable", env={"MOCK_TEST_C": "inner"})
    outer = lab.deploy("call_hook", env={"MOCK_TEST_C": "outer"})

    def hook() -> list[str | None]:
        return [
            os.environ.get("MOCK_TEST_C"),
            lab.result(inner, name="MOCK_TEST_C"),
            os.environ.get("MOCK_TEST_C"),
        ]

    lab.functions.HOOKS["nested"] = hook
    assert lab.result(outer, name="nested") == ["outer", "inner", "outer"]
    assert "MOCK_TEST_C" not in os.environ


def test_a_function_that_moves_the_clock(lab) -> None:
    """Is how a test says that it takes long."""
    ref = lab.deploy("call_hook", timeout=50)
    lab.functions.HOOKS["long"] = lambda: lab.clock.advance(40)
    state = lab.submit(ref, name="long")
    assert (state.phase, state.run_s) == (Phase.SUCCEEDED, 40.0)
    lab.functions.HOOKS["too long"] = lambda: lab.clock.advance(60)
    assert lab.submit(ref, name="too long").phase is Phase.TIMED_OUT


def test_a_document_that_makes_no_sense(lab) -> None:
    """Is refused field by field, without the values: one may be a secret."""
    plan = lab.plan("add")
    body = plan.request("deploy", {"upload": {"digest": "d"}, "plan": {"fingerprint": ""}}).json
    body |= {"secrets": [{"name": "A", "env": "A", "value": ["s3cr3t"]}], "colour": "red"}
    with pytest.raises(Refusal) as caught:
        lab.cloud.deployments.deploy(body)
    assert caught.value.status == 422
    assert "colour" in caught.value.message
    assert "secrets.0.value" in caught.value.message
    assert "s3cr3t" not in caught.value.message


def test_a_bundle_that_was_not_uploaded(lab) -> None:
    """Cannot be deployed."""
    plan = lab.plan("add")
    steps = {"upload": {"digest": "0" * 64}, "plan": {"fingerprint": ""}}
    with pytest.raises(Refusal, match="not uploaded"):
        lab.cloud.deployments.deploy(plan.request("deploy", steps).json)


def test_a_call_of_another_process_is_not_cancelled(make_lab, tmp_path) -> None:
    """It can only be cancelled where it runs."""
    lab = make_lab(state_dir=tmp_path)
    call = lab.spawn(lab.deploy("add"), x=1)
    path = tmp_path / "calls" / f"{call.id}.json"
    lab.cloud.stop()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"phase": "running"}))
    other = make_lab(state_dir=tmp_path)
    with pytest.raises(BadRequest, match="another process"):
        other.run(other.adapter.cancel(other.io, call))


def test_a_stream_of_a_deleted_deployment(make_lab) -> None:
    """Ends as cancelled."""
    lab = make_lab()
    ref = lab.deploy("count")
    call = lab.cloud.calls.submit(ref.address, b'{"number": 1}', "stream")
    lab.run(lab.adapter.delete(lab.io, ref))
    with pytest.raises(Refusal) as caught:
        list(lab.cloud.calls.read(call))
    assert caught.value.code == "cancelled"


def test_a_deployment_is_deleted_under_a_running_call(make_lab) -> None:
    """The thread that waited is told, and the late result harms nobody."""
    lab = make_lab(mode="thread")
    lab.functions.GATES["q"] = threading.Event()
    ref = lab.deploy("gate")
    call = lab.spawn(ref, name="q")
    lab.clock.advance(2)
    lab.run(lab.adapter.delete(lab.io, ref))
    lab.functions.GATES["q"].set()
    assert lab.poll(call, 1.0).phase is Phase.CANCELLED
    assert lab.cloud.orphans() == []


def test_errors_of_streams_have_their_classes() -> None:
    """A cancelled stream is no provider error."""
    assert isinstance(error_of(Refusal(409, "cancelled", "x")), CallCancelled)
    assert isinstance(error_of(Refusal(409, "conflict", "x")), ProviderError)
