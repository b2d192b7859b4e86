"""Deploying, deploying again, and deploys that fail."""

# ruff: noqa: S101 - assert is how a test speaks
from __future__ import annotations

import pytest

from gpuhub.adapter import Feature, Rollout
from gpuhub.errors import DeployFailed, GpuHubError, NotDeployed
from gpuhub.scaling import Scaling
from gpuhub.testing.contract.bench import Bench
from gpuhub.testing.contract.gates import needs
from gpuhub.testing.contract.wrappers import Watching
from gpuhub.testing.emulator import Fault

__all__ = ["Deploys"]

PLACE = "CONTRACT_PLACE"


class Deploys:
    """What ``deploy`` promises."""

    def test_what_is_deployed_answers(self, bench: Bench) -> None:
        """After deploy the endpoint knows its provider and answers a call."""
        endpoint = bench.deploy("echo")
        assert endpoint.provider == bench.provider
        assert bench.invoke(endpoint, "hello") == "hello"

    def test_deploy_sends_no_inference_request(self, bench: Bench) -> None:
        """Deploying wakes no worker, and so costs nothing."""
        with bench.sends_no_inference():
            bench.deploy("echo")
        bench.advance(5)
        assert bench.emulator.billed_seconds.total == 0

    def test_an_unchanged_redeploy_changes_nothing(self, bench: Bench) -> None:
        """The same function again sends no mutating request, here or after a restart."""
        bench.deploy("echo", env={PLACE: "here"})
        with bench.sends_no_mutation():
            bench.deploy("echo", env={PLACE: "here"})
        bench.restart()
        with bench.sends_no_mutation():
            endpoint = bench.deploy("echo", env={PLACE: "here"})
        assert bench.invoke(endpoint, 1) == 1

    def test_a_changed_setting_is_deployed(self, bench: Bench) -> None:
        """Another setting makes another version, and that one answers."""
        first = bench.deploy("variable", env={PLACE: "first"})
        assert bench.invoke(first, PLACE) == "first"
        second = bench.deploy("variable", env={PLACE: "second"})
        assert bench.invoke(second, PLACE) == "second"

    def test_changed_code_is_deployed(self, bench: Bench) -> None:
        """Another bundle is no no-op, though every setting is the same."""
        bench.deploy("echo")
        mark = len(bench.sent())
        with bench.project.having("gpuhub_contract_extra.py", "ANSWER = 42\n"):
            bench.deploy("echo")
        operations = [request.operation for request in bench.sent_since(mark)]
        assert "deploy" in operations, f"changed code was not deployed: {operations}"

    @needs(Feature.MIN_WORKERS)
    def test_deploy_returns_when_routable(self, bench: Bench) -> None:
        """A slow rollout is waited for: the next call is answered by the new version."""
        warm = Scaling(min_workers=1)
        bench.deploy("variable", env={PLACE: "old"}, scaling=warm)
        bench.advance(60)
        bench.emulator.fail(Fault("cold_start", delay_s=90), on="start")
        endpoint = bench.deploy("variable", env={PLACE: "new"}, scaling=warm)
        assert bench.adapter_status(endpoint).rollout is Rollout.READY
        assert bench.invoke(endpoint, PLACE) == "new"

    def test_progress_is_told(self, bench: Bench) -> None:
        """Whoever asks is told the status at every look, the last one being ready."""
        seen: list[Rollout] = []
        function = bench.function("echo")
        bench.drive.call(function, "deploy", progress=lambda status: seen.append(status.rollout))
        assert seen
        assert seen[-1] is Rollout.READY

    def test_a_failed_deploy_leaves_the_old_version(self, bench: Bench) -> None:
        """A build that dies says so, and the version before it goes on answering."""
        endpoint = bench.deploy("variable", env={PLACE: "good"})
        bench.emulator.fail("crash", on="deploy")
        with pytest.raises(DeployFailed) as caught:
            bench.deploy("variable", env={PLACE: "bad"})
        assert caught.value.provider == bench.provider
        assert caught.value.log_tail, "a failed deploy shows the end of the build's log"
        assert bench.invoke(endpoint, PLACE) == "good"
        again = bench.deploy("variable", env={PLACE: "bad"})
        assert bench.invoke(again, PLACE) == "bad"

    def test_a_failed_first_deploy_is_tried_again(self, bench: Bench) -> None:
        """A failure is not remembered as if it had been deployed."""
        bench.emulator.fail("crash", on="deploy")
        with pytest.raises(DeployFailed):
            bench.deploy("echo")
        assert bench.invoke(bench.deploy("echo"), "now") == "now"

    def test_a_refused_deploy_is_no_deploy(self, bench: Bench) -> None:
        """What the provider refused leaves nothing behind, and the old version answers."""
        endpoint = bench.deploy("variable", env={PLACE: "good"})
        bench.emulator.fail("unauthorized", on="deploy")
        with pytest.raises(GpuHubError):
            bench.deploy("variable", env={PLACE: "bad"})
        assert bench.workspace.journal.unfinished_deploys() == []
        assert bench.invoke(endpoint, PLACE) == "good"

    def test_a_deploy_whose_answer_was_lost(self, bench: Bench) -> None:
        """It is found again: one deployment, nothing orphaned, and the next deploy works."""
        bench.emulator.fail("lost_response", on="deploy")
        outcome = bench.attempt(lambda: bench.deploy("echo"))
        if isinstance(outcome, GpuHubError):
            assert getattr(outcome, "accepted", None) is None, "it may well have had an effect"
            assert bench.workspace.journal.unfinished_deploys()
        assert bench.invoke(bench.deploy("echo"), 7) == 7
        assert bench.emulator.orphans() == []

    def test_the_journal_knows_before_the_create(self, bench: Bench) -> None:
        """When the first request of a deploy goes out, its identity is on disk."""
        seen = []

        def look() -> None:
            seen.extend(bench.workspace.journal.unfinished_deploys())

        bench.use(bench.open_workspace(module=Watching(bench.module, before=look)))
        endpoint = bench.deploy("echo")
        assert [(begun.provider, begun.name) for begun in seen] == [(bench.provider, endpoint.name)]
        assert bench.workspace.journal.unfinished_deploys() == []

    def test_a_deploy_that_was_killed_is_found(self, bench: Bench) -> None:
        """A process that dies after the create leaves a record of what to look for."""

        def die() -> None:
            raise KeyboardInterrupt

        bench.use(bench.open_workspace(module=Watching(bench.module, after=die)))
        with pytest.raises(KeyboardInterrupt):
            bench.deploy("echo")
        bench.restart()
        begun = bench.workspace.journal.unfinished_deploys()
        assert [each.name for each in begun] == [bench.function("echo").deployment_name]
        assert bench.invoke(bench.deploy("echo"), "alive") == "alive"
        assert bench.emulator.orphans() == []

    def test_what_is_not_deployed_says_so(self, bench: Bench) -> None:
        """Calling a function that was never deployed names the next step."""
        with pytest.raises(NotDeployed, match="deploy"):
            bench.invoke(bench.function("echo").endpoint(), 1)

    def test_another_machine_finds_the_deployment(self, bench: Bench) -> None:
        """Without a journal the deployment is found by its name at the provider."""
        bench.deploy("echo")
        bench.restart(state="another-machine")
        assert bench.invoke(bench.function("echo").endpoint(), "found") == "found"

    def test_two_functions_are_two_deployments(self, bench: Bench) -> None:
        """Deployments of one app do not disturb each other."""
        echo, combine = bench.deploy("echo"), bench.deploy("combine")
        assert bench.invoke(echo, 5) == 5
        assert bench.invoke(combine, 5) == 15
        assert echo.ref.address != combine.ref.address

    @needs(Feature.WARM)
    def test_deploy_can_warm(self, bench: Bench) -> None:
        """``warm=True`` starts a worker without a call."""
        bench.drive.call(bench.function("echo"), "deploy", warm=True)
        bench.advance(10)
        assert bench.emulator.billed_seconds.total > 0
