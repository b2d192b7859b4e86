"""Containers: from zero to the limit and back, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpuhub.testing.emulator import Fault
from gpuhub_modal.emulator import EmulatorOptions
from tests.adapters.modal.emulator.conftest import Laboratory


def pid() -> Callable[[], int]:
    """Give a closure that tells its process."""

    def it() -> int:
        import os

        return os.getpid()

    return it


def waiter() -> Callable[[str], int]:
    """Give a closure that waits for a file."""

    def it(gate: str) -> int:
        import os
        import time
        from pathlib import Path

        while not Path(gate).exists():
            time.sleep(0.005)
        return os.getpid()

    return it


def test_a_deploy_starts_nothing(lab: Laboratory) -> None:
    """And costs nothing, unless containers are to stay."""
    lab.deploy(pid())
    lab.advance(3600)
    assert lab.emulator.billed_seconds.total == 0


def test_a_cold_start_takes_its_time_and_an_idle_container_stops(lab: Laboratory) -> None:
    """Billed from the start to the end of the window."""
    handle = lab.deploy(pid(), scaledown_window=30)
    first = handle.remote()
    assert handle.remote() == first, "a warm container takes the next call"
    assert lab.emulator.clock.now() >= 2.0
    (container,) = lab.emulator.workspace.function(handle.object_id).containers.values()
    used_s = container.idle_since - container.started_at
    assert used_s >= 2.0
    lab.advance(31)
    assert lab.stats(handle) == (0, 0, 0)
    assert lab.emulator.billed_seconds.total == pytest.approx(used_s + 30)
    assert handle.remote() != first
    assert lab.emulator.orphans() == []


def test_containers_that_stay(lab: Laboratory) -> None:
    """``min_containers`` start with the deploy, and again after a redeploy."""
    handle = lab.deploy(pid(), min_containers=2)
    lab.advance(10)
    assert lab.stats(handle)[0] == 2
    lab.advance(3600)
    assert lab.stats(handle)[0] == 2
    assert lab.emulator.billed_seconds.total == pytest.approx(2 * 3610, rel=0.01)
    again = lab.deploy(pid(), min_containers=1)
    lab.advance(10)
    assert lab.stats(again)[0] == 1


def test_a_buffer_while_there_is_load(lab: Laboratory, tmp_path: Path) -> None:
    """Containers beyond the load, which idle out with the others."""
    handle = lab.deploy(waiter(), buffer_containers=2, scaledown_window=10)
    gate = tmp_path / "gate"
    call = handle.spawn(str(gate))
    lab.advance(5)
    lab.until(lambda: lab.stats(handle) == (3, 0, 1))
    gate.touch()
    call.get()
    lab.advance(30)
    assert lab.stats(handle)[0] == 0


def test_the_limit_of_containers(lab: Laboratory, tmp_path: Path) -> None:
    """What they cannot take waits."""
    handle = lab.deploy(waiter(), max_containers=2)
    gate = tmp_path / "gate"
    calls = [handle.spawn(str(gate)) for _ in range(5)]
    lab.advance(5)
    lab.until(lambda: lab.stats(handle) == (2, 3, 2))
    gate.touch()
    assert len({call.get() for call in calls}) == 2


def test_several_inputs_of_one_container(lab: Laboratory, tmp_path: Path) -> None:
    """As ``@modal.concurrent`` says: as many as it aims at, more when there is no other way."""
    function = lab.modal.concurrent(max_inputs=4, target_inputs=3)(waiter())
    handle = lab.deploy(function, max_containers=1)
    gate = tmp_path / "gate"
    calls = [handle.spawn(str(gate)) for _ in range(3)]
    lab.advance(5)
    lab.until(lambda: lab.stats(handle) == (1, 0, 3))
    gate.touch()
    assert len({call.get() for call in calls}) == 1


def test_a_container_for_each_input(lab: Laboratory) -> None:
    """``single_use_containers``."""
    handle = lab.deploy(pid(), single_use_containers=True)
    assert len({handle.remote() for _ in range(3)}) == 3
    assert lab.stats(handle)[0] == 0


def test_limits_change_while_it_runs(lab: Laboratory) -> None:
    """Until the next deploy."""
    handle = lab.deploy(pid(), max_containers=3)
    settings = handle.autoscaler.update(min_containers=1, scaledown_window=20)
    assert (settings.min_containers, settings.max_containers) == (1, 3)
    lab.advance(10)
    assert lab.stats(handle)[0] == 1
    handle.autoscaler.update(min_containers=0, max_containers=None)
    assert handle.autoscaler.settings().max_containers is None
    lab.advance(60)
    assert lab.stats(handle)[0] == 0
    again = lab.deploy(pid(), max_containers=3)
    assert again.autoscaler.settings().max_containers == 3


def test_the_first_gpu_that_is_there(lab: Laboratory) -> None:
    """Ranked GPUs, the second one when there is none of the first."""
    lab.emulator.sold_out.add("H100")
    handle = lab.deploy(pid(), gpu=["H100", "A100-80GB"])
    handle.remote()
    function = lab.emulator.workspace.function(handle.object_id)
    assert [each.gpu for each in function.containers.values()] == ["A100-80GB"]


def test_no_gpu_at_all(lab: Laboratory) -> None:
    """Inputs wait, unbilled, until there is one."""
    lab.emulator.sold_out.add("H100")
    handle = lab.deploy(pid(), gpu="H100")
    call = handle.spawn()
    lab.advance(600)
    assert lab.stats(handle) == (1, 1, 0)
    assert lab.emulator.billed_seconds.total == 0
    lab.emulator.sold_out.clear()
    lab.emulator.restock()
    assert call.get() > 0


def test_a_long_cold_start(lab: Laboratory) -> None:
    """Is waited for."""
    handle = lab.deploy(pid())
    lab.emulator.fail(Fault("cold_start", delay_s=240), on="start")
    handle.remote()
    assert lab.emulator.clock.now() >= 240


def test_a_container_that_cannot_start(lab: Laboratory) -> None:
    """Waiting inputs fail, with what the container reported."""

    class Broken:
        def __reduce__(self) -> Any:
            return (_raise, ())

    def _raise() -> None:
        message = "no such library"
        raise OSError(message)

    broken = Broken()

    def it() -> str:
        return repr(broken)

    handle = lab.deploy(it)
    with pytest.raises(lab.modal.exception.DeserializationError, match="no such library"):
        handle.remote()
    assert lab.stats(handle)[0] <= 1


def test_a_container_that_dies_while_starting(lab: Laboratory) -> None:
    """Is replaced."""
    handle = lab.deploy(pid())
    lab.emulator.fail("crash", on="start")
    assert handle.remote() > 0


def test_a_new_version_takes_over(lab: Laboratory, tmp_path: Path) -> None:
    """Idle containers of the old one stop at once, busy ones after their input."""
    handle = lab.deploy(waiter(), timeout=100)
    gate = tmp_path / "gate"
    call = handle.spawn(str(gate))
    lab.advance(5)
    lab.until(lambda: lab.stats(handle) == (1, 0, 1))
    again = lab.deploy(waiter(), timeout=200)
    assert again.object_id == handle.object_id
    other = tmp_path / "other"
    other.touch()
    new = again.remote(str(other))
    gate.touch()
    assert call.get() != new
    assert lab.stats(again)[0] == 1


def test_a_killed_container_and_a_stopped_app(lab: Laboratory) -> None:
    """An input goes to another container; a stopped app has none left."""
    handle = lab.deploy(pid())
    handle.remote()
    (task_id,) = lab.emulator.billed_seconds
    lab.emulator.kill_container(task_id)
    assert handle.remote() > 0
    lab.modal.App.lookup("lab", client=lab.client).stop()
    before = lab.emulator.billed_seconds.total
    lab.advance(600)
    assert lab.emulator.billed_seconds.total == before
    assert lab.emulator.orphans() == []
    with pytest.raises(lab.modal.exception.NotFoundError):
        handle.remote()


class TestRealContainers:
    """Processes of their own, as Modal starts them."""

    @pytest.fixture
    def options(self) -> EmulatorOptions:
        """Of that kind."""
        return EmulatorOptions(containers="process")

    @pytest.mark.slow
    def test_they_do_the_same(self, lab: Laboratory) -> None:
        """Modal's entry point, started by its name."""

        def it(number: int) -> tuple[int, str]:
            import sys

            print("hello from a process")
            return number + 1, sys.argv[0]

        handle = lab.deploy(it)
        number, main = handle.remote(1)
        assert number == 2
        assert main.endswith("_container_entrypoint.py")
