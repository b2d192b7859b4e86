"""Many callers at once, and two workspaces in one process."""

# ruff: noqa: S101 - assert is how a test speaks
from __future__ import annotations

from gpuhub.adapter import Feature
from gpuhub.testing.contract.bench import Bench
from gpuhub.testing.contract.gates import needs

__all__ = ["Isolation"]

CALLERS = 32
TASKS = 64


class Isolation:
    """What holds when more than one thing happens."""

    def test_many_callers_at_once(self, bench: Bench) -> None:
        """Threads or tasks share an endpoint; each gets its own result."""
        endpoint = bench.deploy("echo")
        count = TASKS if bench.drive.mode == "async" else CALLERS
        values = [{"caller": number} for number in range(count)]
        assert bench.drive.together(endpoint, "invoke", values, CALLERS) == values

    @needs(Feature.CONCURRENCY, Feature.MAX_WORKERS)
    def test_many_callers_of_one_worker(self, bench: Bench) -> None:
        """The same with calls running side by side on a worker."""
        from gpuhub.scaling import Scaling

        endpoint = bench.deploy("echo", scaling=Scaling(max_workers=1, concurrency=16))
        values = list(range(CALLERS))
        assert bench.drive.together(endpoint, "invoke", values, CALLERS) == values

    def test_async_calls_do_not_block_the_loop(self, bench: Bench) -> None:
        """While a call waits, other tasks of the loop run; without a loop nothing needs one."""
        endpoint = bench.deploy("wait_for")
        gate, log = bench.folder / "gate", bench.log()
        arguments = (str(gate), str(log.path), 10.0)
        result = bench.drive.meanwhile(
            *(endpoint, "invoke", arguments), ready=lambda: bool(log.lines()), then=gate.touch
        )
        assert result == "opened", "nothing else could run while the call waited"

    def test_two_workspaces_share_nothing(self, bench: Bench) -> None:
        """Deployments, journal and adapter of one app are not seen by another."""
        bench.deploy("variable", env={"CONTRACT_PLACE": "mine"})
        mine = bench.workspace
        theirs = bench.open_workspace(app="another-app", state="another")
        bench.use(theirs)
        other = bench.deploy("variable", env={"CONTRACT_PLACE": "theirs"})
        assert mine.session().adapter is not theirs.session().adapter
        assert mine.journal.path != theirs.journal.path
        assert [each.ref.name for each in mine.journal.deployments()] == ["contract-variable"]
        assert [each.ref.name for each in theirs.journal.deployments()] == ["another-app-variable"]
        assert bench.invoke(other, "CONTRACT_PLACE") == "theirs"
        bench.use(mine)
        endpoint = bench.function("variable").endpoint()
        assert bench.invoke(endpoint, "CONTRACT_PLACE") == "mine"

    def test_a_closed_workspace_can_be_used_again(self, bench: Bench) -> None:
        """Closing ends connections, not the workspace."""
        endpoint = bench.deploy("echo")
        assert bench.invoke(endpoint, 1) == 1
        bench.drive.close(bench.workspace)
        assert bench.invoke(bench.function("echo").endpoint(), 2) == 2

    def test_two_providers_of_one_adapter(self, bench: Bench) -> None:
        """An adapter keeps its state in its own object, never in its module."""
        first, second = bench.open_workspace(), bench.open_workspace(state="second")
        made = [workspace.session().adapter for workspace in (first, second)]
        assert made[0] is not made[1]
        shared = _mutable_state(made[0]) & _mutable_state(made[1])
        assert not shared, "two adapters hold the same mutable object"


def _mutable_state(adapter: object) -> set[int]:
    """Identities of the containers that an adapter holds."""
    held = getattr(adapter, "__dict__", {})
    return {id(value) for value in held.values() if isinstance(value, dict | list | set)}
