"""Clocks that stand still, run fast, or are the system's."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from gpuhub._clock import ScaledClock, SystemClock, VirtualClock


def test_system_clock_is_the_systems():
    """Monotonic time, epoch time, real sleeps."""
    clock = SystemClock()
    begun = clock.now()
    clock.sleep(0.01)
    clock.sleep(-1)
    assert 0.01 <= clock.now() - begun < 50
    assert abs(clock.wall() - time.time()) < 50


def test_virtual_clock_stands_still_until_moved():
    """Sleeping and advancing move it at once; it never goes back."""
    clock = VirtualClock(start=100.0)
    assert clock.now() == 100.0
    clock.sleep(30)
    clock.sleep(-5)
    clock.advance(2.5)
    assert clock.now() == 132.5
    assert repr(clock) == "VirtualClock(132.5)"


def test_virtual_wall_moves_along():
    """Epoch seconds start where they are told, and move with the clock."""
    clock = VirtualClock(start=50.0, epoch=1000.0)
    clock.advance(7)
    assert clock.wall() == 1007.0
    assert VirtualClock().wall() == 1_767_225_600.0


@pytest.mark.parametrize("clock", [VirtualClock(), ScaledClock(10)])
def test_time_does_not_go_back(clock):
    """A negative advance is refused."""
    with pytest.raises(ValueError, match="at least 0"):
        clock.advance(-1)


@pytest.mark.parametrize("clock", [VirtualClock(), ScaledClock(1000)])
def test_callbacks_run_after_each_move(clock):
    """Each move tells who asked, with the new time, until they stop asking."""
    seen = []
    stop = clock.on_advance(lambda: seen.append(clock.now()))
    clock.advance(5)
    clock.sleep(2)
    asyncio.run(clock.sleep_async(1))
    stop()
    stop()
    clock.advance(5)
    assert len(seen) == 3
    assert seen == sorted(seen)
    assert seen[0] >= 5


def test_callbacks_may_use_the_clock():
    """A callback may read, watch and move the clock: no lock is held."""
    clock = VirtualClock()
    moved: list[float] = []

    def follow():
        if not moved:
            moved.append(clock.now())
            clock.on_advance(lambda: None)
            clock.advance(1)

    clock.on_advance(follow)
    clock.advance(1)
    assert clock.now() == 2


def test_tasks_sleep_at_the_same_time():
    """Tasks that begin to sleep together wake at their own times, not at the sum."""
    clock = VirtualClock()

    async def all_of_them():
        await asyncio.gather(*(clock.sleep_async(3) for _ in range(50)))

    asyncio.run(all_of_them())
    assert clock.now() == 3


def test_threads_lose_no_advance():
    """Moves from many threads all count."""
    clock = VirtualClock()

    def work():
        for _ in range(500):
            clock.advance(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now() == 4000


def test_scaled_clock_runs_fast():
    """A sleep takes a fraction of its time, and the clock shows all of it."""
    clock = ScaledClock(1000)
    begun, real = clock.now(), time.monotonic()
    wall = clock.wall()
    clock.sleep(20)
    asyncio.run(clock.sleep_async(20))
    assert clock.now() - begun >= 40
    assert clock.wall() - wall >= 40
    assert time.monotonic() - real < 30
    clock.advance(5000)
    assert clock.now() - begun >= 5040
    assert repr(clock) == "ScaledClock(1000)"


@pytest.mark.parametrize("rate", [0, -1])
def test_rate_must_be_positive(rate):
    """A clock that stands still or goes back is refused."""
    with pytest.raises(ValueError, match=f"above 0 .got {rate}."):
        ScaledClock(rate)
