"""What every emulator keeps of a worker: how far it has come, and what of it really happens now.

A worker that boots, runs calls or comes back for more does so in real time. The site has to know,
so that a virtual clock does not run away from it: each ``begin_…`` here is counted on the site
until its ``end_…``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuhub.testing.emulator.faults import Fault
    from gpuhub.testing.emulator.site import EmulatorSite
    from gpuhub.testing.emulator.timeline import Timer

__all__ = ["WorkerBase", "cold_start_after"]


@dataclass(slots=True, eq=False, kw_only=True)
class WorkerBase:
    """One worker. Changed with the lock held; times are clock seconds.

    Attributes:
        site: Whose worker it is.
        ready_at: When its cold start ends.
        idle_since: Since when it has nothing to do.
        idle_timer: When it will be looked at for that.
        is_draining: It stops after its last call.
        is_stopped: It is gone.
        has_booted: Its code is ready.
        is_booting: Its code was started and is not ready.
        is_returning: It has just sent a result, and asks for more in a moment.
        at_work: Ids of calls whose code really runs.
    """

    site: EmulatorSite = field(repr=False)
    ready_at: float
    idle_since: float = 0.0
    idle_timer: Timer | None = None
    is_draining: bool = False
    is_stopped: bool = False
    has_booted: bool = False
    is_booting: bool = False
    is_returning: bool = False
    at_work: set[str] = field(default_factory=set)

    def is_ready(self, now: float) -> bool:
        """Whether it takes calls, if it has room."""
        return self.has_booted and now >= self.ready_at and not self.is_stopped

    def begin_boot(self) -> None:
        """Note that its code is started."""
        self.is_booting = True
        self.site.began()

    def end_boot(self) -> None:
        """Note that its code is ready, or ended, if it was started."""
        if self.is_booting:
            self.is_booting = False
            self.site.ended()

    def begin_return(self) -> None:
        """Note that it sent a result: until it asks again, it is at work."""
        if not self.is_returning:
            self.is_returning = True
            self.site.began()

    def end_return(self) -> None:
        """Note that it asks for more, or never will."""
        if self.is_returning:
            self.is_returning = False
            self.site.ended()

    def begin_work(self, call_id: str) -> None:
        """Note that the code of a call really runs."""
        if call_id not in self.at_work:
            self.at_work.add(call_id)
            self.site.began()

    def end_work(self, call_id: str) -> bool:
        """Note that it does not any more; tells whether it did."""
        if call_id not in self.at_work:
            return False
        self.at_work.discard(call_id)
        self.site.ended()
        return True

    def end_all(self) -> None:
        """Note that nothing of it happens any more, and that it is not to be looked at."""
        self.end_idling()
        self.end_boot()
        self.end_return()
        for call_id in list(self.at_work):
            self.end_work(call_id)

    def end_idling(self) -> None:
        """Do not look at it for being idle."""
        if self.idle_timer is not None:
            self.idle_timer.cancel()
            self.idle_timer = None


def cold_start_after(fault: Fault | None, usual_s: float) -> float:
    """Give the clock seconds of a cold start: what a ``cold_start`` says, else ten times as many.

    Args:
        fault: What is to go wrong with the start.
        usual_s: How long one takes otherwise.
    """
    if fault is None or fault.kind != "cold_start":
        return usual_s
    return fault.delay_s or 10 * usual_s
