"""Waits for calls: moves virtual time where only time is missing, else waits for running code."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from gpuhub_mock.emulator.site import Site

if TYPE_CHECKING:
    from gpuhub_mock.emulator.calls import Call
    from gpuhub_mock.emulator.pool import Pool

__all__ = ["Turns"]

_LONGEST_S = 60.0
_SLICE_S = 0.05


class Turns:
    """Brings calls to their turn.

    Args:
        site: What the provider's parts share.
        settle: Lets happen what is due; needs the lock.
        pool_of: Gives the pool of a deployment, ``None`` once it is deleted.
    """

    def __init__(
        self, site: Site, settle: Callable[[], None], pool_of: Callable[[str], Pool | None]
    ) -> None:
        self._site = site
        self._settle = settle
        self._pool_of = pool_of
        self._moving = threading.Lock()

    def is_mine(self, call: Call, until: float = math.inf) -> bool:
        """Wait until this thread has to run a call it claimed.

        Args:
            call: The call.
            until: Clock seconds at which to give up.

        Returns:
            ``False`` when the call ended or the time is up.
        """
        while True:
            with self._site.lock:
                self._settle()
                overdue_in = self._overdue_in(call)
                if call.is_over:
                    return False
                if call.is_mine:
                    call.taken = True
                    return True
                left = until - self._site.clock.now()
                if left <= 0:
                    return False
                pool = self._pool_of(call.deployment)
                wake = pool.wake_at(call) if pool is not None else None
                signal = call.signal()
            self._pause(signal, wake, left, min(left, overdue_in))

    def leave(self, call: Call) -> None:
        """Give up a claim; a thread of the cloud runs the call if its turn came meanwhile."""
        if not call.claimed:
            return
        with self._site.lock:
            is_mine = call.is_mine
            call.claimed = False
            if is_mine:
                call.taken = True
                self._site.threads.submit(self._site.run, call)

    def _pause(
        self, signal: threading.Event, wake: float | None, left: float, real_left: float
    ) -> None:
        if not self._site.is_virtual:
            pause = left if wake is None else min(left, wake - self._site.clock.now())
            # In slices: the clock may run faster than the machine's, or be moved.
            signal.wait(min(_SLICE_S, max(0.001, pause)))
        elif wake is not None:
            self._move_to(wake, left)
        else:
            now, started = self._site.clock.now(), time.monotonic()
            if not signal.wait(min(real_left, _LONGEST_S)):
                # Code that really ran so long took as long in virtual time.
                self._move_to(now + time.monotonic() - started, left)

    def _move_to(self, moment: float, left: float) -> None:
        """Move virtual time; threads that wait for the same moment move it once."""
        with self._moving:
            step = min(moment - self._site.clock.now(), left)
            if step > 0:
                self._site.clock.sleep(step)

    def _overdue_in(self, call: Call) -> float:
        """Real seconds its code may still run; ends the call when there are none."""
        pool = self._pool_of(call.deployment)
        if pool is None or not call.taken or call.is_over or call.began is None:
            return math.inf
        left = call.began + pool.timeout_s(call) - time.monotonic()
        if left <= 0:
            pool.time_out(call, self._site.clock.now())
        return left + 0.001
