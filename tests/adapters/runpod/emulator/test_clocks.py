"""The emulator on each kind of clock."""

from __future__ import annotations

import time

import pytest

from gpuhub.testing.emulator.clocks import ScaledClock, SystemClock, VirtualClock
from gpuhub_runpod.emulator import EmulatorOptions, RunPodEmulator, contract_emulator, emulator
from tests.adapters.runpod.emulator.conftest import Account
from tests.adapters.waiting import until


@pytest.fixture
def on():
    """Make accounts on a clock, and stop them."""
    made = []

    def account(clock, **options):
        made.append(Account(RunPodEmulator(EmulatorOptions(**options), clock)))
        return made[-1]

    yield account
    for each in made:
        each.http.close()
        each.emulator.stop()


def test_real_time(on):
    """A cold start takes as long as it takes, and an idle worker stops by itself."""
    account = on(SystemClock(), cold_start_s=0.1)
    endpoint = account.endpoint(workers={"idleTimeout": 1})
    began = time.monotonic()
    assert endpoint.runsync()["output"] == {"x": 1}
    assert time.monotonic() - began >= 0.1
    until(lambda: endpoint.states() == [])
    took = time.monotonic() - began
    assert 1.09 <= account.emulator.billed_seconds.total <= took  # a sum of floats


def test_fast_time(on):
    """Fifty times as fast: three seconds of cold start and twenty of idling pass at once."""
    account = on(ScaledClock(50))
    endpoint = account.endpoint(workers={"idleTimeout": 20}, timeout=3_600_000)
    assert endpoint.ended(endpoint.run())["delayTime"] >= 3000
    until(lambda: endpoint.states() == [])


def test_virtual_time_moves_only_for_who_waits(on):
    """A submit does not move it; a wait moves it to what is due."""
    account = on(VirtualClock())
    endpoint = account.endpoint()
    endpoint.run()
    assert account.emulator.clock.now() == 0
    endpoint.runsync()
    # The cold start, or as long as the process really took; not the 90 s it would have waited.
    assert 3 <= account.emulator.clock.now() < 60


def test_the_factories():
    """One for the contract suite, in virtual time; one for the command line, in real time."""
    assert isinstance(contract_emulator().clock, VirtualClock)
    assert isinstance(emulator().clock, SystemClock)
    assert emulator().start is not None
