"""Scripted faults, clocks, and how quickly the emulator starts and ends."""

from __future__ import annotations

import httpx
import pytest

from gpuhub.testing.emulator import Emulator, Fault
from gpuhub.testing.emulator.clocks import ScaledClock, SystemClock
from gpuhub_baseten.emulator import BasetenEmulator, EmulatorOptions, contract_emulator
from tests.adapters.baseten.emulator.conftest import Account
from tests.adapters.waiting import is_quick, until


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("rate_limit", 429, "rate_limited"),
        ("capacity", 503, "model_unavailable"),
        ("server_error", 500, "internal_baseten_error"),
        ("unauthorized", 401, "unauthorized"),
    ],
)
def test_refusals(account, kind, status, code):
    """Before anything has happened, in the words of the API that was asked."""
    made = account.model()
    account.emulator.fail(kind)
    answer = made.call(1)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert made.state.predictions == 0
    account.emulator.fail(Fault(kind, status=418, message="own words"), on="status")
    answer = account.http.get(made.path)
    assert (answer.status_code, answer.json()["message"]) == (418, "own words")


def test_the_wait_is_told(account):
    """For limits and capacity."""
    made = account.model()
    account.emulator.fail(Fault("rate_limit", delay_s=7))
    assert made.call(1).headers["retry-after"] == "7"


def test_an_answer_is_lost_or_nonsense(account):
    """What was asked for has happened all the same."""
    made = account.model()
    for fault in ("lost_response", Fault("lost_response", code="halfway")):
        account.emulator.fail(fault)
        with pytest.raises(httpx.TransportError):
            made.call(1)
    account.emulator.fail("malformed")
    answer = made.call(1)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")
    assert made.state.predictions == 3


def test_a_call_that_never_ends(account, clock):
    """504 after 1200 s; with gpuhub's own limit in the configuration, its worker's answer."""
    made = account.model()
    account.emulator.fail("timeout")
    assert made.call(1).status_code == 504
    metadata = {"model_metadata": {"gpuhub": {"timeout_s": 30}}}
    limited = account.model(name="limited", config=metadata)
    account.emulator.fail("timeout")
    before = clock.now()
    answer = limited.call(1)
    assert answer.json()["gpuhub_error"]["type"] == "gpuhub.CallTimedOut"
    assert clock.now() - before == pytest.approx(30, abs=0.1)
    assert limited.call(2).json() == 2


def test_a_call_whose_replica_dies(account):
    """502, and a fresh replica."""
    made = account.model()
    account.emulator.fail("crash")
    assert made.call(1).status_code == 502
    assert made.call(2).json() == 2


def test_a_replica_that_dies_at_its_start(account, clock):
    """Is started again; after crashes there are pauses."""
    made = account.model()
    clock.advance(100)
    account.emulator.fail("crash", on="start", times=2)
    before = clock.now()
    assert made.call(1).json() == 1
    assert clock.now() - before > 10
    assert sum("exited with code 1" in line for line in made.lines()) == 2


@pytest.mark.parametrize("options", [EmulatorOptions(cold_start_s=45)])  # a real one is shorter
def test_waiting_for_a_machine(account, clock):
    """Until one is free."""
    made = account.model()
    clock.advance(100)
    account.emulator.fail(Fault("capacity", delay_s=50), on="start")
    before = clock.now()
    assert made.call(1).json() == 1
    assert clock.now() - before == pytest.approx(95, abs=1)


def test_a_slow_start(account, clock):
    """As long as it is told."""
    made = account.model()
    clock.advance(100)
    account.emulator.fail(Fault("cold_start", delay_s=240), on="start")
    before = clock.now()
    assert made.call(1).json() == 1
    assert clock.now() - before == pytest.approx(240, abs=1)


def test_faults_by_chance(account):
    """The same seed, the same sequence."""
    made = account.model()
    account.emulator.fail_randomly("server_error", probability=0.5, seed=7)
    statuses = [made.call(1).status_code for _ in range(20)]
    assert set(statuses) == {200, 500}


def test_it_has_the_face_of_all_emulators():
    """And every contract test gets a fresh one."""
    assert isinstance(contract_emulator(), Emulator)


def test_starting_and_stopping_is_cheap():
    """The contract suite does it for each test."""
    BasetenEmulator().stop()  # of imports

    def start():
        with BasetenEmulator():
            pass

    assert is_quick(start, 0.1)


@pytest.mark.parametrize("clock", [SystemClock(), ScaledClock(20)], ids=["real", "fast"])
def test_other_clocks(clock):
    """In real time, and twenty times as fast."""
    options = EmulatorOptions(build_s=0.1, deploy_s=0.1, cold_start_s=0.1)
    with BasetenEmulator(options, clock) as emulator:
        account = Account(emulator)
        made = account.push(limits={"scale_down_delay": 1})
        until(lambda: made.state.is_current)  # it is ACTIVE for a moment only
        assert made.call("real").json() == "real"
        until(lambda: made.status() == "SCALED_TO_ZERO")
        assert made.call("again").json() == "again"
        account.http.close()


def test_it_may_be_stopped_twice(account):
    """Nothing happens."""
    account.model()
    account.emulator.stop()
    account.emulator.stop()
    with pytest.raises(RuntimeError):
        _ = account.emulator._server.url
