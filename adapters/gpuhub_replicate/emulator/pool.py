"""A queue of predictions and the workers that run them: of a deployment, or of a version."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.models import Version
    from gpuhub_replicate.emulator.predictions import Prediction
    from gpuhub_replicate.emulator.site import Site
    from gpuhub_replicate.emulator.workers import Worker

__all__ = ["Pool"]


@dataclass(slots=True, eq=False)
class Pool:
    """State of one pool. Changed with the lock held.

    Attributes:
        site: What all parts share.
        key: Unique.
        version: What new workers run.
        min_workers: At least so many.
        max_workers: At most so many; 0 is off.
        release: Number of the deployment's release; 0 without one.
        is_hosted: Somebody else's: always warm, and not on our bill.
        queue: Predictions that wait, first one first.
        workers: Those that exist, by id.
        used_at: When it was last asked, or last had a worker.
        is_deleted: It is gone.
        scaled: Called when it got or lost a worker.
    """

    site: Site
    key: str
    version: Version
    min_workers: int = 0
    max_workers: int = 1
    release: int = 0
    is_hosted: bool = False
    queue: deque[Prediction] = field(default_factory=deque)
    workers: dict[str, Worker] = field(default_factory=dict)
    used_at: float = 0.0
    is_deleted: bool = False
    scaled: Callable[[], None] = lambda: None

    def active(self) -> list[Worker]:
        """Workers that stay."""
        return [each for each in self.workers.values() if not each.is_draining]

    def running(self) -> int:
        """Count what workers are busy with."""
        return sum(len(each.jobs) for each in self.workers.values())

    def desired(self) -> int:
        """Give the number of workers that there should be.

        The first one starts at once, further ones for what waits too long; how many at a time is
        not known. Guess: enough for all of it.
        """
        now, limit_s = self.site.timeline.now(), self.site.options.scale_up_s
        overdue = sum(now - each.created >= limit_s for each in self.queue)
        jobs = sum(len(each.jobs) for each in self.active())
        wanted = -(-(jobs + overdue) // self.version.concurrency)
        if self.queue:
            wanted = max(1, wanted)
        return min(self.max_workers, max(self.min_workers, wanted))

    def is_current(self, worker: Worker) -> bool:
        """Whether a worker runs what new ones would."""
        return worker.version is self.version and worker.release == self.release

    def roomiest(self) -> Worker | None:
        """The current worker with room that has the fewest predictions."""
        now = self.site.timeline.now()
        having = [each for each in self.workers.values() if each.room(now) > 0]
        return min(having, key=lambda each: len(each.jobs), default=None)

    def pending_s(self) -> float:
        """Real seconds worth waiting for processes that should be up, or code that runs."""
        now, options = self.site.timeline.now(), self.site.options
        workers = self.workers.values()
        if any(each.is_booting and now >= each.ready_at for each in workers):
            return options.boot_s
        return options.hold_s if any(each.at_work for each in workers) else 0.0
