"""Requests that wait, and the time that passes meanwhile.

On a virtual clock nobody else moves time while a client waits for an answer. So when nothing
really runs, time moves to what is due next; and while something really runs, as fast as real time.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.clocks import SystemClock, VirtualClock

if TYPE_CHECKING:
    from gpuhub.testing.emulator.signals import Signal
    from gpuhub.testing.emulator.site import EmulatorSite

__all__ = ["Pacer", "hold", "wait_until"]

_SLICE_S = 0.02
_LONGEST_S = 1.0
_LONGEST_STEP_S = 0.25
"""Of clock time beside real time: a machine that was busy elsewhere lets none leap."""
_STEP_S = 1e-6
"""Past what is due: a sum of floats may stop short of it."""


async def wait_until(
    site: EmulatorSite, signal: Signal, is_done: Callable[[], bool], seconds: float
) -> bool:
    """Wait for something to become true.

    Args:
        site: What all parts share.
        signal: Fires whenever it may have.
        is_done: Tells whether it is; called with the lock.
        seconds: Clock seconds to wait at most; infinite: as long as it takes.

    Returns:
        Whether it is true now.
    """
    key = object()
    with site.timeline.lock:
        deadline = site.timeline.now() + seconds
        site.waiting[key] = (deadline, is_done)
        timer = site.timeline.at(deadline, signal.fire) if math.isfinite(deadline) else None
    try:
        while True:
            with site.timeline.lock:
                changed = signal.listen()
                if is_done():
                    return True
                if site.timeline.now() >= deadline:
                    return False
                site.pace.fire()
            await changed
    finally:
        with site.timeline.lock:
            if timer is not None:
                timer.cancel()
            site.waiting.pop(key, None)


async def hold(site: EmulatorSite, signal: Signal, pending_s: Callable[[], float]) -> None:
    """Hold a question back for a moment of real time, while what it asks about really happens.

    Who polls on a virtual clock sleeps no real time between two questions: without this a call
    would run into its time limit before its code has done anything.

    Args:
        site: What all parts share.
        signal: Fires whenever what is asked about changes.
        pending_s: Gives the real seconds, from the beginning, worth waiting; 0: answer now.
            Called with the lock.
    """
    if not site.is_virtual:
        return
    began = time.monotonic()
    while True:
        with site.timeline.lock:
            changed = signal.listen()
            left = began + pending_s() - time.monotonic()
        if left <= 0:
            return
        await asyncio.wait([changed], timeout=min(left, _SLICE_S))


class Pacer:
    """Lets time pass: see the module.

    Args:
        site: What all parts share.
        leap_s: Clock seconds that are a leap. Before one, real time is given to clients which hold
            a request on a thread: one may be about to ask or to cancel, and is not to find that
            all is over. Default: no step is a leap.
        patience_s: How much real time.
    """

    def __init__(
        self, site: EmulatorSite, *, leap_s: float = math.inf, patience_s: float = 0.1
    ) -> None:
        self._site = site
        self._leap_s = leap_s
        self._patience_s = patience_s

    async def run(self) -> None:
        """Work until cancelled."""
        if self._site.is_virtual:
            await self._move_time()
        else:
            await self._follow_time()

    async def _follow_time(self) -> None:
        """Let happen what is due, as the clock runs."""
        clock = self._site.clock
        longest = _LONGEST_S if isinstance(clock, SystemClock) else _SLICE_S  # it may run faster
        while True:
            with self._site.timeline.lock:
                changed = self._site.pace.listen()
                due = self._site.timeline.next_due()
            left = math.inf if due is None else due - clock.now()
            await asyncio.wait([changed], timeout=min(longest, max(0.001, left)))
            self._site.timeline.settle()

    async def _move_time(self) -> None:
        while True:
            with self._site.timeline.lock:
                changed = self._site.pace.listen()
                step = self._idle_step()
            if step is None:
                began = time.monotonic()
                waits = bool(self._site.waiting)
                await asyncio.wait([changed], timeout=_SLICE_S if waits else None)
                if waits and self._site.waiting and not changed.done():
                    self._advance(min(time.monotonic() - began, _LONGEST_STEP_S))
            else:
                if step > self._leap_s:
                    await asyncio.wait([changed], timeout=self._patience_s)
                if not changed.done():
                    self._advance(step)
                await asyncio.sleep(0)

    def _advance(self, seconds: float) -> None:
        if isinstance(self._site.clock, VirtualClock):
            self._site.clock.advance(seconds)
        self._site.timeline.settle()

    def _idle_step(self) -> float | None:
        """Clock seconds until something is due, if all that is waited for is time."""
        if not self._site.waiting or self._site.at_work:
            return None
        if any(is_done() for _, is_done in self._site.waiting.values()):
            return None  # who waited for that goes on in a moment
        due = self._site.timeline.next_due()
        until = min(deadline for deadline, _ in self._site.waiting.values())
        moment = until if due is None else min(due, until)
        if not math.isfinite(moment):
            return None
        return max(0.0, moment - self._site.clock.now()) + _STEP_S
