"""Calls: their ends, what goes wrong with them, and how long their results are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpuhub.testing.emulator import Fault
from gpuhub_modal.emulator import EmulatorOptions
from tests.adapters.modal.emulator.conftest import Laboratory

DAY_S = 86_400


def echo() -> Callable[..., Any]:
    """Give a closure that gives its argument back."""

    def it(value: Any = None) -> Any:
        return value

    return it


def failing() -> Callable[[str, int], int]:
    """Give a closure that fails in its first runs, which it counts in a file."""

    def it(log: str, times: int) -> int:
        with open(log, "a") as file:  # noqa: PTH123 - runs in a container
            file.write("run\n")
        with open(log) as file:  # noqa: PTH123 - see above
            runs = len(file.readlines())
        if runs <= times:
            message = f"run {runs} fails"
            raise ValueError(message)
        return runs

    return it


def counting() -> Callable[[int], Iterator[int]]:
    """Give a closure that yields numbers."""

    def it(number: int) -> Iterator[int]:
        yield from range(number)

    return it


def test_a_result_is_kept_for_seven_days(lab: Laboratory) -> None:
    """It can be asked for again and again, and then no more."""
    handle = lab.deploy(echo())
    call = handle.spawn("kept")
    assert call.get() == "kept"
    lab.advance(6.9 * DAY_S)
    again = lab.modal.FunctionCall.from_id(call.object_id, client=lab.client)
    assert again.get(timeout=0) == "kept"
    lab.advance(0.2 * DAY_S)
    with pytest.raises(lab.modal.exception.OutputExpiredError):
        again.get(timeout=0)


def test_a_poll_does_not_wait(lab: Laboratory) -> None:
    """Nor move time."""
    handle = lab.deploy(echo())
    lab.emulator.fail(Fault("cold_start", delay_s=100), on="start")
    call = handle.spawn(1)
    before = lab.emulator.clock.now()
    with pytest.raises(TimeoutError):
        call.get(timeout=0)
    assert lab.emulator.clock.now() == before
    assert call.get() == 1


def test_a_queued_call_is_cancelled(lab: Laboratory, tmp_path: Path) -> None:
    """It never runs."""
    log = tmp_path / "log"
    handle = lab.deploy(failing())
    lab.emulator.fail(Fault("cold_start", delay_s=100), on="start")
    call = handle.spawn(str(log), 0)
    call.cancel()
    lab.advance(200)
    with pytest.raises(lab.modal.exception.RemoteError, match="cancelled"):
        call.get()
    assert not log.exists()


@pytest.mark.parametrize("options", [EmulatorOptions(grace_s=50)])
def test_a_running_call_is_cancelled(lab: Laboratory, tmp_path: Path) -> None:
    """Its code is interrupted, and the container takes the next call."""
    log = tmp_path / "log"

    def it(path: str) -> int:
        import os
        import time
        from pathlib import Path

        if not path:
            return os.getpid()
        Path(path).write_text(str(os.getpid()))
        try:
            time.sleep(60)
        finally:
            Path(path).write_text("interrupted")
        return 0

    handle = lab.deploy(it)
    call = handle.spawn(str(log))
    lab.advance(5)
    lab.until(lambda: log.exists() and log.read_text() != "")
    pid = int(log.read_text())
    call.cancel()
    with pytest.raises(lab.modal.exception.RemoteError, match="cancelled"):
        call.get()
    assert handle.remote("") == pid
    assert log.read_text() == "interrupted"


def test_cancelling_with_its_container(lab: Laboratory) -> None:
    """``terminate_containers`` ends that, too."""

    def it(seconds: float) -> int:
        import os
        import time

        time.sleep(seconds)
        return os.getpid()

    handle = lab.deploy(it)
    first = handle.remote(0)
    call = handle.spawn(60)
    lab.until(lambda: lab.stats(handle)[2] == 1)
    call.cancel(terminate_containers=True)
    assert handle.remote(0) != first


def test_a_call_that_takes_too_long(lab: Laboratory) -> None:
    """Ends by the clock when it is told to hang."""
    handle = lab.deploy(echo(), timeout=120)
    lab.emulator.fail("timeout")
    began = lab.emulator.clock.now()
    with pytest.raises(lab.modal.exception.FunctionTimeoutError, match="120s"):
        handle.remote()
    assert lab.emulator.clock.now() - began >= 120
    assert handle.remote("next") == "next"


def test_code_that_takes_too_long(lab: Laboratory) -> None:
    """Ends in real time, with its container."""

    def it(seconds: float) -> float:
        import time

        time.sleep(seconds)
        return seconds

    handle = lab.deploy(it, timeout=1)
    began = time.monotonic()
    with pytest.raises(lab.modal.exception.FunctionTimeoutError):
        handle.remote(50)
    assert time.monotonic() - began < 25
    assert lab.stats(handle) == (0, 0, 0)
    assert lab.deploy(it, timeout=60).remote(0) == 0


def test_a_container_that_dies_once(lab: Laboratory) -> None:
    """Modal documents that its work is rescheduled."""
    handle = lab.deploy(echo())
    lab.emulator.fail(Fault("crash", code="once"))
    assert handle.remote("again") == "again"
    assert len(lab.emulator.billed_seconds) == 2


def test_containers_that_die_again_and_again(lab: Laboratory) -> None:
    """Here the input fails in the end; the words are the platform's."""
    handle = lab.deploy(echo())
    lab.emulator.fail("crash")
    with pytest.raises(lab.modal.exception.RemoteError, match="died 2 times"):
        handle.remote()
    assert handle.remote(2) == 2


def test_code_that_kills_its_container(lab: Laboratory) -> None:
    """As running out of memory does."""

    def it(is_last: bool) -> None:
        import os

        if is_last:
            os._exit(9)

    handle = lab.deploy(it)
    with pytest.raises(lab.modal.exception.RemoteError, match="died"):
        handle.remote(True)
    assert handle.remote(False) is None


class TestRetries:
    """Failed inputs are repeated: by the client that waits for a call, else by Modal."""

    def test_of_a_waited_call(self, lab: Laboratory, tmp_path: Path) -> None:
        """The client asks for it."""
        log = str(tmp_path / "log")
        policy = lab.modal.Retries(max_retries=3, initial_delay=0.0)
        handle = lab.deploy(failing(), retries=policy)
        assert handle.remote(log, 2) == 3
        assert lab.sent("submit").count("/FunctionRetryInputs") == 2

    def test_of_a_spawned_call(self, lab: Laboratory, tmp_path: Path) -> None:
        """After the delays of its policy, by the clock."""
        log = str(tmp_path / "log")
        policy = lab.modal.Retries(max_retries=2, initial_delay=30.0, backoff_coefficient=1.5)
        handle = lab.deploy(failing(), retries=policy)
        began = lab.emulator.clock.now()
        assert handle.spawn(log, 2).get() == 3
        assert lab.emulator.clock.now() - began >= 30 + 45

    def test_no_more_than_allowed(self, lab: Laboratory, tmp_path: Path) -> None:
        """The last error is the call's."""
        log = tmp_path / "log"
        handle = lab.deploy(failing(), retries=1)
        with pytest.raises(ValueError, match="run 2 fails"):
            handle.spawn(str(log), 9).get()
        assert len(log.read_text().splitlines()) == 2

    def test_of_a_map(self, lab: Laboratory, tmp_path: Path) -> None:
        """Each input by itself."""
        logs = [str(tmp_path / name) for name in "abc"]
        policy = lab.modal.Retries(max_retries=2, initial_delay=0.0)
        handle = lab.deploy(failing(), retries=policy, max_containers=1)
        assert list(handle.map(logs, [0, 1, 2])) == [1, 2, 3]


class TestBatches:
    """Inputs that run together."""

    def test_a_full_one(self, lab: Laboratory) -> None:
        """Runs at once; one that is not full, after its wait."""

        def it(numbers: list[int]) -> list[int]:
            return [len(numbers)] * len(numbers)

        function = lab.modal.batched(max_batch_size=4, wait_ms=10_000)(it)
        handle = lab.deploy(function, max_containers=1)
        calls = [handle.spawn(number) for number in range(5)]
        assert [call.get() for call in calls] == [4, 4, 4, 4, 1]


class TestStreams:
    """Generators."""

    def test_all_items_come(self, lab: Laboratory) -> None:
        """Also many."""
        handle = lab.deploy(counting())
        assert list(handle.remote_gen(300)) == list(range(300))

    def test_a_container_that_dies_in_the_middle(self, lab: Laboratory) -> None:
        """One item got out, even if the container sent more with it; the call fails."""
        handle = lab.deploy(counting())
        lab.emulator.fail("crash", on="stream")
        with pytest.raises(lab.modal.exception.RemoteError):
            list(handle.remote_gen(300))
        (call,) = lab.emulator.workspace.function(handle.object_id).calls.values()
        assert len(call.chunks) == 1

    def test_leaving_early(self, lab: Laboratory) -> None:
        """Does no harm."""
        handle = lab.deploy(counting())
        for number in handle.remote_gen(20_000):
            if number == 3:
                break
        assert list(handle.remote_gen(2)) == [0, 1]


class TestConnections:
    """What goes wrong on the way."""

    def test_a_lost_answer(self, lab: Laboratory, tmp_path: Path) -> None:
        """The client repeats the request under its key; the call runs once."""
        log = tmp_path / "log"
        handle = lab.deploy(failing())
        lab.emulator.fail("lost_response")
        assert handle.remote(str(log), 0) == 1
        assert lab.sent("submit") == ["/FunctionMap"] * 2
        assert len(log.read_text().splitlines()) == 1

    @pytest.mark.parametrize("kind", ["server_error"])
    def test_a_passing_error(self, lab: Laboratory, kind: Any) -> None:
        """The client tries again."""
        handle = lab.deploy(echo())
        lab.emulator.fail(kind, times=2)
        assert handle.remote(1) == 1
        lab.emulator.fail(kind, times=9)
        with pytest.raises(lab.modal.exception.InternalError):
            handle.remote(1)

    def test_an_answer_that_is_none(self, lab: Laboratory) -> None:
        """Not a message of Modal's."""
        handle = lab.deploy(echo())
        lab.emulator.fail("malformed", on="FunctionGetCurrentStats")
        with pytest.raises(Exception, match="parsing"):
            handle.get_current_stats()

    def test_a_rate_limit(self, lab: Laboratory) -> None:
        """Says how long to wait."""
        handle = lab.deploy(echo())
        lab.emulator.fail(Fault("rate_limit", delay_s=7))
        with pytest.raises(lab.modal.exception.ResourceExhaustedError) as caught:
            handle.remote(1)
        (policy,) = caught.value._grpc_details
        assert policy.retry_after_secs == 7

    def test_no_capacity_and_a_refused_token(self, lab: Laboratory) -> None:
        """Each with its status."""
        handle = lab.deploy(echo())
        lab.emulator.fail("capacity")
        with pytest.raises(lab.modal.exception.ResourceExhaustedError, match="capacity"):
            handle.remote(1)
        lab.emulator.fail("unauthorized")
        with pytest.raises(lab.modal.exception.AuthError):
            handle.remote(1)

    def test_faults_by_chance_repeat(self, lab: Laboratory) -> None:
        """The same seed, the same faults."""
        handle = lab.deploy(echo())

        def outcomes() -> list[bool]:
            lab.emulator.fail_randomly("unauthorized", probability=0.5, seed=3)
            found = []
            for _ in range(8):
                try:
                    handle.spawn(1)
                except lab.modal.exception.AuthError:
                    found.append(False)
                else:
                    found.append(True)
            lab.emulator._site.faults.clear()
            return found

        first = outcomes()
        assert first == outcomes()
        assert set(first) == {True, False}


def test_where_an_input_is(lab: Laboratory) -> None:
    """The graph of a call tells of its end, and its info counts."""
    handle = lab.deploy(echo())
    call = handle.spawn(1)
    (waiting,) = call.get_call_graph()
    assert (waiting.status.name, waiting.task_id) == ("PENDING", "")
    call.get()
    (ended,) = call.get_call_graph()
    assert ended.status.name == "SUCCESS"
    assert ended.task_id.startswith("ta-")


def test_large_arguments_and_results(lab: Laboratory) -> None:
    """Go over HTTP, in both directions."""
    handle = lab.deploy(echo())
    large = b"x" * 3_000_000
    assert handle.remote(large) == large
    assert handle.spawn(b"y" * 10_000).get() == b"y" * 10_000
    assert len(lab.sent("upload")) >= 2
