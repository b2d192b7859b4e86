"""What the contract suite leaves out: web applications and diagnoses, through gpuhub itself."""

from __future__ import annotations

import asyncio

import httpx
import pytest

import gpuhub
from gpuhub.adapter import Phase
from gpuhub.errors import CallExpired, CallFailed, ProviderError
from gpuhub_runpod.emulator import EmulatorOptions, RunPodEmulator
from tests.adapters.waiting import until


@pytest.fixture
def emulator():
    """A provider on a virtual clock."""
    with RunPodEmulator() as played:
        yield played


@pytest.fixture
def project(gpuhub_contract_project):
    """The contract suite's functions."""
    return gpuhub_contract_project


def workspace_on(emulator, project, folder):
    """Open a workspace on a provider, with its clock."""
    return gpuhub.Workspace(
        "runpod",
        app="demo",
        root=project.root,
        provider_options=dict(emulator.start()),
        environ={"RUNPOD_API_KEY": "made-up", "GPUHUB_STATE_DIR": str(folder)},
        clock=emulator.clock,
    )


@pytest.fixture
def workspace(emulator, project, tmp_path):
    """On that provider."""
    opened = workspace_on(emulator, project, tmp_path / "state")
    yield opened
    opened.close()


def deployed(workspace, target, **settings):
    """Decorate and deploy a function."""
    return gpuhub.function(**settings)(target).in_workspace(workspace).deploy()


def test_a_web_application_answers(emulator, workspace, project):
    """Behind the load balancer, on a worker that the request woke."""
    endpoint = gpuhub.web()(project.functions.site).in_workspace(workspace).deploy()
    url = f"{endpoint.url}/some/page"
    assert httpx.get(url, timeout=30, trust_env=False).status_code == 401
    answer = httpx.get(url, headers=endpoint.web_headers(), timeout=30, trust_env=False)
    assert answer.status_code == 200
    assert answer.text == "gpuhub-contract /some/page"


def test_a_diagnosis_of_missing_cards(emulator, workspace, project):
    """Throttled workers are told from a slow start."""
    endpoint = deployed(workspace, project.functions.echo, gpu="RTX4090")
    emulator.set_stock("ADA_24", "NONE")
    call = endpoint.spawn(1)
    status = endpoint.status()
    assert status.workers.throttled == 1
    assert "throttled" in status.detail
    emulator.set_stock("ADA_24", "HIGH")
    assert call.result(timeout=3600) == 1


def test_a_diagnosis_of_a_cut_limit(emulator, workspace, project):
    """RunPod's own cut after idle days is reported, and can be undone."""
    scaling = gpuhub.Scaling(max_workers=5)
    endpoint = deployed(workspace, project.functions.echo, scaling=scaling)
    emulator.clock.advance(3 * 86_400 + 60)
    assert "workers.max is 2, declared were 5" in endpoint.status().detail
    emulator.clock.advance(4 * 86_400)
    assert "paused" in endpoint.status().detail
    endpoint.scale(max_workers=5)
    assert endpoint.invoke("back") == "back"


def test_a_deploy_puts_a_cut_limit_back(emulator, workspace, project):
    """An unchanged deploy is no no-op then."""
    scaling = gpuhub.Scaling(max_workers=5)
    endpoint = deployed(workspace, project.functions.echo, scaling=scaling)
    emulator.clock.advance(3 * 86_400 + 60)
    deployed(workspace, project.functions.echo, scaling=scaling)
    assert emulator.endpoint(endpoint.ref.address).config["workers"]["max"] == 5


def test_a_result_that_nobody_fetched(emulator, workspace, project):
    """It is gone after half an hour."""
    endpoint = deployed(workspace, project.functions.echo)
    call = endpoint.spawn(1)
    emulator.clock.advance(10)
    until(lambda: call.state().phase.is_terminal, 30)  # its code runs in real time
    emulator.clock.advance(31 * 60)
    with pytest.raises(CallExpired):
        call.result()


def test_young_jobs_are_waited_for(tmp_path, project):
    """A 404 right after the submit is not the end."""
    with RunPodEmulator(EmulatorOptions(lookup_delay_s=3)) as emulator:
        workspace = workspace_on(emulator, project, tmp_path / "state")
        endpoint = deployed(workspace, project.functions.echo)
        assert endpoint.spawn("young").result(timeout=3600) == "young"
        workspace.close()


def test_a_failed_job_is_run_again_under_its_id(emulator, workspace, project):
    """RunPod's own retry; a job that succeeded is refused."""
    endpoint = deployed(workspace, project.functions.echo)
    emulator.fail("crash", on="submit")
    call = endpoint.spawn("once more")
    with pytest.raises(CallFailed):
        call.result(timeout=3600)
    assert call.retry().phase is Phase.QUEUED
    assert call.result(timeout=3600) == "once more"
    with pytest.raises(ProviderError, match="400"):
        call.retry()


def test_retries_and_purges_on_a_loop(emulator, workspace, project):
    """The same, awaited."""
    endpoint = deployed(workspace, project.functions.echo, gpu="RTX4090")

    async def use() -> tuple[Phase, str, int]:
        emulator.fail("crash", on="submit")
        call = await endpoint.spawn_async("once more")
        with pytest.raises(CallFailed):
            await call.result_async(timeout=3600)
        retried = await call.retry_async()
        result = await call.result_async(timeout=3600)
        emulator.set_stock("ADA_24", "NONE")
        emulator.clock.advance(3600)
        await endpoint.spawn_async("waits")
        return retried.phase, result, await endpoint.purge_queue_async()

    assert asyncio.run(use()) == (Phase.QUEUED, "once more", 1)


def test_a_queue_is_purged(emulator, workspace, project):
    """What waits is dropped and counted."""
    endpoint = deployed(workspace, project.functions.echo, gpu="RTX4090")
    emulator.set_stock("ADA_24", "NONE")
    waiting = [endpoint.spawn(number) for number in range(3)]
    assert endpoint.purge_queue() == 3
    assert {call.state().phase for call in waiting} <= {Phase.CANCELLED, Phase.EXPIRED}
