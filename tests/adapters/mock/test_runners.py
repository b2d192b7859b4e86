"""Where functions run: this process, its threads, or processes of their own."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from gpuhub.adapter import CallOptions, CancelReceipt, Phase
from gpuhub.errors import BadRequest
from gpuhub.scaling import Scaling
from gpuhub.spec import Bucket, Secret, Volume
from gpuhub.testing.emulator.clocks import ScaledClock, SystemClock
from tests.adapters.waiting import until

PROCESSES = pytest.mark.slow


def test_inline_runs_on_the_callers_thread(lab) -> None:
    """A debugger, a profiler and coverage see the function."""
    place = lab.result(lab.deploy("where"))
    assert place == {"process": os.getpid(), "thread": threading.current_thread().name}


def test_thread_mode_runs_elsewhere(make_lab) -> None:
    """In this process, on a thread of the provider's."""
    lab = make_lab(mode="thread")
    place = lab.result(lab.deploy("where"))
    assert place == {"process": os.getpid(), "thread": "gpuhub-mock"}


def test_spawned_calls_run_on_threads(lab) -> None:
    """Also inline: nobody waits."""
    call = lab.spawn(lab.deploy("where"))
    assert b"gpuhub-mock" in (lab.poll(call, 30).output or b"")


@PROCESSES
def test_subprocess_mode(make_lab) -> None:
    """Each worker is a process, which idles out and dies with the provider."""
    lab = make_lab(mode="subprocess")
    ref = lab.deploy("where")
    first, second = lab.result(ref), lab.result(ref)
    assert first["process"] == second["process"] != os.getpid()
    lab.clock.advance(100)
    third = lab.result(ref)
    assert third["process"] != first["process"]
    _await_end(first["process"])
    lab.cloud.stop()
    _await_end(third["process"])


@PROCESSES
def test_a_process_that_ends_itself(make_lab) -> None:
    """Fails the call as the platform's failure; the next call gets a new process."""
    lab = make_lab(mode="subprocess")
    ref = lab.deploy("end_process")
    state = lab.submit(ref)
    assert state.phase is Phase.FAILED
    assert "died" in str(state.error)
    assert lab.submit(ref).worker != state.worker


@PROCESSES
def test_a_process_streams_and_logs(make_lab) -> None:
    """Chunks and printed lines come through."""
    lab = make_lab(mode="subprocess")
    assert [c.get("result") for c in lab.stream(lab.deploy("count"), number=3)] == [0, 1, 2, None]
    ref = lab.deploy("shout")
    lab.submit(ref, text="héllo")
    until(lambda: {"héllo", "héllo!"} <= set(lab.messages(ref)))


@PROCESSES
def test_a_process_has_its_own_environment(make_lab, monkeypatch) -> None:
    """Variables and secrets of the spec, and not the developer's."""
    monkeypatch.setenv("DEVELOPERS_OWN", "x")
    monkeypatch.setenv("STORED", "from here")
    lab = make_lab(mode="subprocess")
    secrets = ["STORED", Secret.from_local_env("LOCAL")]
    ref = lab.deploy("variable", env={"A": "1"}, secrets=secrets, local={"LOCAL": "sent"})
    names = ("A", "STORED", "LOCAL", "DEVELOPERS_OWN")
    assert [lab.result(ref, name=name) for name in names] == ["1", "from here", "sent", None]


@PROCESSES
def test_a_running_process_is_killed(make_lab) -> None:
    """A cancel is certain, and a timeout ends the code."""
    lab = make_lab(mode="subprocess")
    ref = lab.deploy("nap", timeout=0.3)
    assert lab.submit(ref, 60, seconds=50).phase is Phase.TIMED_OUT
    ref = lab.deploy("nap")
    call = lab.spawn(ref, seconds=50)
    until(lambda: lab.poll(call).phase is Phase.RUNNING)
    receipt = lab.run(lab.adapter.cancel(lab.io, call))
    assert receipt is CancelReceipt.CONFIRMED_TERMINAL
    assert lab.poll(call).phase is Phase.CANCELLED


@PROCESSES
def test_code_that_is_not_here_runs_from_the_bundle(lab, monkeypatch) -> None:
    """As for a command line that never imported it, or after the file was changed."""
    ref = lab.deploy("where")
    lab.cloud._book.get(ref.name).versions["1"].live = None
    monkeypatch.delitem(sys.modules, "mock_functions")
    assert lab.result(ref)["process"] != os.getpid()


def test_variables_are_set_for_the_call_only(lab) -> None:
    """This process is as it was, before and after."""
    ref = lab.deploy("variable", env={"MOCK_TEST_A": "{{x}} 'y'"})
    assert lab.result(ref, name="MOCK_TEST_A") == "{{x}} 'y'"
    assert "MOCK_TEST_A" not in os.environ


def test_different_variables_do_not_mix(make_lab) -> None:
    """Calls of two deployments at the same time see their own."""
    lab = make_lab()
    refs = [lab.deploy("variable", name=f"v{n}", env={"MOCK_TEST_B": str(n)}) for n in range(4)]

    def ask(number: int) -> bool:
        return bool(lab.result(refs[number % 4], name="MOCK_TEST_B") == str(number % 4))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(200)))
    assert "MOCK_TEST_B" not in os.environ


def test_where_secrets_come_from(lab, monkeypatch) -> None:
    """Sent along, else the provider's store, else this process."""
    monkeypatch.setenv("FROM_HERE", "here")
    lab.cloud.secrets.update({"STORED": SecretStr("stored"), "PLAIN": "plain"})
    secrets = ["STORED", "PLAIN", "FROM_HERE", Secret.from_local_env("LOCAL", env="OTHER")]
    ref = lab.deploy("variable", secrets=secrets, local={"LOCAL": "sent"})
    names = ("STORED", "PLAIN", "FROM_HERE", "OTHER")
    assert [lab.result(ref, name=name) for name in names] == ["stored", "plain", "here", "sent"]


def test_an_unknown_secret_is_refused(lab) -> None:
    """By name, at deploy time, and no version is left behind."""
    with pytest.raises(BadRequest, match="'NOWHERE'"):
        lab.deploy("variable", secrets=["NOWHERE"])
    assert lab.run(lab.adapter.find(lab.io, "lab-variable")) is None


def test_secrets_are_not_shown(lab) -> None:
    """Neither by what is recorded, nor by any representation."""
    ref = lab.deploy(
        "variable", secrets=[Secret.from_local_env("LOCAL")], local={"LOCAL": "s3cr3t"}
    )
    lab.result(ref, name="PATH")
    version = lab.cloud._book.get(ref.name).versions["1"]
    shown = [*lab.cloud.requests, version, version.body, lab.messages(ref)]
    assert "s3cr3t" not in repr(shown)


def test_volumes_are_folders(lab) -> None:
    """Shared by all functions that mount the volume."""
    volumes = {"/models": Volume("models"), "/data": Bucket("s3://data/x")}
    path = lab.result(lab.deploy("write_to_volume", volumes=volumes), text="hello")
    other = lab.deploy("write_to_volume", name="other", volumes={"/models": Volume("models")})
    assert lab.result(other, text="again") == path


def test_logs_have_what_is_printed(lab, capsys) -> None:
    """By whom and where to; it is still printed, too."""
    ref = lab.deploy("shout")
    lab.submit(ref, text="hello")
    lines = lab.cloud.deployments.logs(ref.address).lines()
    printed = [
        (line.message, line.source, line.worker) for line in lines if "hello" in line.message
    ]
    assert printed == [("hello", "stdout", "worker-1"), ("hello!", "stderr", "worker-1")]
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("hello\n", "hello!\n")


def test_logs_of_coroutines(lab, capsys) -> None:
    """They run on a loop of their own thread."""
    ref = lab.deploy("shout_later")
    assert lab.result(ref, text="later") == "LATER"
    assert "later" in lab.messages(ref)
    assert capsys.readouterr().out == "later\n"


def test_streams_are_restored(lab, capsys) -> None:
    """``sys.stdout`` is the same object after a call."""
    before = sys.stdout, sys.stderr
    lab.submit(lab.deploy("shout"), text="x")
    assert (sys.stdout, sys.stderr) == before
    capsys.readouterr()


def test_logs_can_be_followed(lab) -> None:
    """New lines come as they are written, until the deployment is deleted."""
    ref = lab.deploy("tick")
    log = lab.cloud.deployments.logs(ref.address)
    seen: list[str] = []

    def follow() -> None:
        seen.extend(line.message for line in log.follow())

    follower = threading.Thread(target=follow)
    follower.start()
    until(lambda: seen)
    assert "tick" not in seen
    lab.submit(ref)
    until(lambda: "tick" in seen)
    assert follower.is_alive()
    lab.run(lab.adapter.delete(lab.io, ref))
    follower.join(30)
    assert not follower.is_alive()


def test_logs_since(lab) -> None:
    """Older lines are left out."""
    ref = lab.deploy("tick")
    lab.submit(ref)
    since = lab.clock.wall() + 5
    lab.clock.advance(10)
    lab.submit(ref)
    lines = lab.cloud.deployments.logs(ref.address).lines(since)
    assert [line.message for line in lines] == ["tick"]


def test_many_threads_at_a_time(lab) -> None:
    """Each call gets its own result, and time is not moved once for each of them."""
    ref = lab.deploy("add")
    with ThreadPoolExecutor(32) as threads:
        results = list(threads.map(lambda x: lab.result(ref, x=x), range(2000)))
    assert results == list(range(1, 2001))
    assert lab.clock.now() <= 3 * 2.0, "at most one cold start for each of three workers"
    assert set(lab.cloud.executions.values()) == {1}


def test_many_tasks_at_a_time(lab) -> None:
    """The loop is never blocked, and no call waits for a thread that waits for it."""
    ref = lab.deploy("nap", scaling=Scaling(max_workers=2))
    io = lab.connections.asynchronous()

    async def call(number: int) -> Phase:
        payload = f'{{"seconds": {number * 0}}}'.encode()
        state = await lab.adapter.submit(io, ref, payload, CallOptions(None, 30.0))
        phase: Phase = state.phase
        return phase

    async def all_calls() -> list[Phase]:
        return await asyncio.gather(*map(call, range(100)))

    assert asyncio.run(all_calls()) == [Phase.SUCCEEDED] * 100


def test_an_interrupt_ends_the_call(lab) -> None:
    """Ctrl-C in the function is raised, and its worker is free again."""
    ref = lab.deploy("add")
    lab.submit(ref, x=1)
    runner = lab.cloud._book.get(ref.name).pool.workers[0].runner

    def interrupted(payload: bytes) -> bytes:
        raise KeyboardInterrupt

    runner.invoke = interrupted
    with pytest.raises(KeyboardInterrupt):
        lab.submit(ref, x=1)
    del runner.invoke
    assert lab.status(ref).in_flight == 0
    assert lab.result(ref, x=1) == 2


@pytest.mark.parametrize(
    ("make_clock", "rate"), [(SystemClock, 1), (lambda: ScaledClock(500), 500)]
)
def test_real_clocks(make_lab, make_clock, rate) -> None:
    """Cold starts and idle time-outs take their time, and happen by themselves."""
    lab = make_lab(clock=make_clock(), cold_start_s=0.05 * rate)
    ref = lab.deploy("add", timeout=60 * rate, scaling=Scaling(idle_timeout=0.1 * rate))
    state = lab.submit(ref, 60 * rate, x=1)
    assert state.queued_s is not None
    # Sums of floats. By the wrong clock the scaled start would take 25 s.
    assert 0.049 * rate <= state.queued_s < 20 * rate
    until(lambda: not lab.cloud._site.meter.running())
    assert lab.cloud.billed_seconds.total >= 0.149 * rate


def test_spawned_calls_run_by_themselves_in_real_time(make_lab) -> None:
    """Nobody has to ask."""
    lab = make_lab(clock=SystemClock(), cold_start_s=0.02)
    lab.spawn(lab.deploy("add"), x=1)
    until(lambda: list(lab.cloud.executions.values()) == [1])


def _await_end(process: int) -> None:
    def is_gone() -> bool:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        return False

    until(is_gone)
