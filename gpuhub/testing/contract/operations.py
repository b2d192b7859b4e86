"""Looking at a deployment and changing it: status, versions, logs, delete, connect."""

# ruff: noqa: S101 - assert is how a test speaks
from __future__ import annotations

from typing import Any

import pytest

from gpuhub.adapter import EndpointStatus, Feature, LogLine, Rollout
from gpuhub.endpoint import Endpoint
from gpuhub.errors import ConfigError, NotDeployed, NotFound
from gpuhub.scaling import Scaling
from gpuhub.testing.contract.bench import Bench
from gpuhub.testing.contract.gates import needs

__all__ = ["Operations"]

PLACE = "CONTRACT_PLACE"


class Operations:
    """What the other methods of ``Endpoint`` promise."""

    @needs(Feature.STATUS)
    def test_status_of_a_fresh_deployment(self, bench: Bench) -> None:
        """Ready, at some version, with nothing going on."""
        endpoint = bench.deploy("echo")
        with bench.sends_no_mutation():
            status = bench.drive.call(endpoint, "status")
        assert isinstance(status, EndpointStatus)
        assert status.rollout is Rollout.READY
        assert status.version == endpoint.version
        assert status.in_flight in (None, 0)
        assert status.queue_depth in (None, 0)

    @needs(Feature.VERSIONS)
    def test_every_deploy_is_a_version(self, bench: Bench) -> None:
        """Newest first, exactly one of them serving."""
        for number in ("1", "2", "3"):
            endpoint = bench.deploy("variable", env={PLACE: number})
        versions = bench.drive.call(endpoint, "versions")
        assert len(versions) >= 3
        assert len({version.id for version in versions}) == len(versions)
        assert [version.current for version in versions[:3]] == [True, False, False]
        assert versions[0].id == endpoint.version
        times = [each.created_at for each in versions if each.created_at is not None]
        assert times == sorted(times, reverse=True)

    @needs(Feature.ROLLBACK)
    def test_rollback_serves_the_version_before(self, bench: Bench) -> None:
        """Without an argument; the old version's code and settings answer again."""
        first = bench.deploy("variable", env={PLACE: "first"}).version
        endpoint = bench.deploy("variable", env={PLACE: "second"})
        assert bench.drive.call(endpoint, "rollback") == endpoint.version
        assert bench.invoke(endpoint, PLACE) == "first"
        current = [each for each in bench.drive.call(endpoint, "versions") if each.current]
        assert len(current) == 1
        assert endpoint.version != ""
        assert first != ""

    @needs(Feature.ROLLBACK)
    def test_rollback_to_a_named_version(self, bench: Bench) -> None:
        """Any version that the provider keeps, and forward again."""
        versions = {}
        for word in ("one", "two", "three"):
            endpoint = bench.deploy("variable", env={PLACE: word})
            versions[word] = endpoint.version
        for word in ("one", "three", "two"):
            bench.drive.call(endpoint, "rollback", versions[word])
            assert bench.invoke(endpoint, PLACE) == word
            versions = {**versions, word: endpoint.version}

    @needs(Feature.ROLLBACK)
    def test_rollback_to_nothing(self, bench: Bench) -> None:
        """An unknown version, or one before the first, is named and nothing is changed."""
        endpoint = bench.deploy("variable", env={PLACE: "only"})
        with bench.sends_no_mutation():
            with pytest.raises(NotFound, match="older version"):
                bench.drive.call(endpoint, "rollback")
            with pytest.raises(NotFound, match="no-such-version"):
                bench.drive.call(endpoint, "rollback", "no-such-version")
        assert bench.invoke(endpoint, PLACE) == "only"

    @needs(Feature.ROLLBACK)
    def test_a_deploy_after_a_rollback_is_a_deploy(self, bench: Bench) -> None:
        """The rolled-back fingerprint is remembered: the newer code goes out again."""
        bench.deploy("variable", env={PLACE: "first"})
        endpoint = bench.deploy("variable", env={PLACE: "second"})
        bench.drive.call(endpoint, "rollback")
        endpoint = bench.deploy("variable", env={PLACE: "second"})
        assert bench.invoke(endpoint, PLACE) == "second"

    @needs(Feature.LOGS)
    def test_what_a_function_prints_is_in_the_log(self, bench: Bench) -> None:
        """Lines come with their time, oldest first."""
        endpoint = bench.deploy("shout")
        for word in ("contract-one", "contract-two"):
            bench.invoke(endpoint, word)
        lines = _logged(bench, endpoint, "contract-one", "contract-two")
        said = [line.message for line in lines if "contract-" in line.message]
        assert said == ["contract-one", "contract-two"]
        assert [line.time for line in lines] == sorted(line.time for line in lines)
        assert all("\n" not in line.message for line in lines)

    @needs(Feature.LOGS, Feature.LOGS_FOLLOW)
    def test_a_log_can_be_followed(self, bench: Bench) -> None:
        """Following gives what is there first, and ends when the caller leaves."""
        endpoint = bench.deploy("shout")
        bench.invoke(endpoint, "contract-line")
        total = len(_logged(bench, endpoint, "contract-line"))
        lines = bench.drive.take(total, endpoint, "logs", follow=True)
        assert any("contract-line" in line.message for line in lines)

    @needs(Feature.DELETE)
    def test_nothing_is_left_after_a_delete(self, bench: Bench) -> None:
        """No worker, no bill, no deployment; calling it says that it is not deployed."""
        endpoint = bench.deploy("echo", scaling=_warm(bench))
        bench.invoke(endpoint, 1)
        bench.drive.call(endpoint, "delete")
        assert bench.emulator.orphans() == []
        before = bench.emulator.billed_seconds.total
        bench.advance(3600)
        assert bench.emulator.billed_seconds.total == before
        with pytest.raises(NotDeployed):
            bench.invoke(bench.function("echo").endpoint(), 1)

    @needs(Feature.DELETE)
    def test_deleting_twice_does_no_harm(self, bench: Bench) -> None:
        """What is gone already is no error."""
        endpoint = bench.deploy("echo")
        other = bench.deploy("combine")
        bench.drive.call(endpoint, "delete")
        connected = bench.function("echo").endpoint()
        with pytest.raises(NotDeployed):
            bench.drive.call(connected, "delete")
        assert bench.invoke(other, 1) == 11

    @needs(Feature.DELETE)
    def test_a_deleted_function_can_be_deployed_again(self, bench: Bench) -> None:
        """The unchanged function is made anew: nothing remembers the old one as current."""
        bench.drive.call(bench.deploy("echo"), "delete")
        assert bench.invoke(bench.deploy("echo"), "back") == "back"

    @needs(Feature.DELETE)
    def test_what_was_deleted_elsewhere_is_deployed_again(self, bench: Bench) -> None:
        """A deployment that somebody else removed is not taken for current."""
        endpoint = bench.deploy("echo")
        session, ref = bench.workspace.session(), endpoint.ref
        bench.drive.do(lambda: session.run(lambda io: session.adapter.delete(io, ref)))
        assert bench.invoke(bench.deploy("echo"), "again") == "again"

    @needs(Feature.CONNECT)
    def test_connecting_to_an_endpoint(self, bench: Bench) -> None:
        """By ``provider://address``, without its function at hand."""
        ref = bench.deploy("combine").ref
        address = f"{bench.module.INFO.schemes[0]}://{ref.address}"
        bench.restart(state="another-machine")
        endpoint = bench.drive.call(Endpoint, "connect", address, workspace=bench.workspace)
        assert endpoint.provider == bench.provider
        assert bench.invoke(endpoint, left=1, scale=2) == 22

    @needs(Feature.CONNECT)
    def test_connecting_to_nothing(self, bench: Bench) -> None:
        """An address that the provider does not know, and a text that is no address."""
        scheme = bench.module.INFO.schemes[0]
        with pytest.raises(NotFound):
            bench.drive.call(
                Endpoint, "connect", f"{scheme}://no-such-endpoint", workspace=bench.workspace
            )
        with bench.sends_nothing(), pytest.raises(ConfigError, match="provider://"):
            bench.drive.call(Endpoint, "connect", "no-address", workspace=bench.workspace)


def _logged(bench: Bench, endpoint: Endpoint[..., Any], *words: str) -> list[LogLine]:
    """Read the log until it has all of these words: a line may come to it a moment late."""
    lines: list[LogLine] = []

    def are_all_there() -> bool:
        lines[:] = bench.drive.items(endpoint, "logs")
        return all(any(word in line.message for line in lines) for word in words)

    bench.until(are_all_there, f"{', '.join(words)} in the log")
    return lines


def _warm(bench: Bench) -> Scaling:
    """Workers that would go on being billed, where the provider has such."""
    return Scaling() if bench.lacks(Feature.MIN_WORKERS) else Scaling(min_workers=1)
