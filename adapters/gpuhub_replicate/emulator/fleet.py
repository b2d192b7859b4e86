"""Starts and stops the workers of a pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.workers import cold_start_after
from gpuhub_replicate.emulator.workers import Machine, Worker

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.pool import Pool

__all__ = ["Fleet"]

_CARD_S = 30.0
"""How long a worker waits for a card when a fault does not say."""


class Fleet:
    """The workers of one pool. Every method needs the lock.

    Args:
        pool: Whose they are.
        hire: Makes the machine of a worker.
        freed: Told that some worker may take predictions now.
        crashed: Told of a worker whose code ended by itself.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        hire: Callable[[Worker], Machine],
        freed: Callable[[], None],
        crashed: Callable[[Worker], None],
    ) -> None:
        self._pool = pool
        self._site = pool.site
        self._hire = hire
        self._freed = freed
        self._crashed = crashed

    def scale(self) -> None:
        """Have as many workers as there should be; surplus ones only above the maximum."""
        if self._pool.is_deleted:
            return
        active = self._pool.active()
        for _ in range(self._pool.desired() - len(active)):
            self._start()
        surplus = len(active) - self._pool.max_workers
        if surplus > 0:
            by_need = sorted(active, key=lambda each: (bool(each.jobs), each.is_ready(self._now)))
            for worker in by_need[:surplus]:
                self._retire(worker)

    def booted(self, worker: Worker) -> None:
        """Note that a worker's code is ready."""
        if worker.has_booted or worker.is_stopped:
            return
        worker.has_booted = True
        worker.end_boot()
        self._site.timeline.at(max(self._now, worker.ready_at), lambda: self._ready(worker))

    def rest(self, worker: Worker) -> None:
        """Note that a worker has no prediction any more."""
        worker.idle_since = self._now
        if worker.is_draining:
            self.stop(worker)
        elif worker.idle_timer is None:
            self._watch_idleness(worker)

    def stop(self, worker: Worker) -> None:
        """Stop a worker, whatever it does."""
        if worker.is_stopped:
            return
        worker.is_stopped = True
        worker.end_all()
        self._pool.workers.pop(worker.id, None)
        self._site.meter.stop(worker.id, self._now)
        if worker.machine is not None:
            worker.machine.stop()
        self._pool.used_at = self._now
        self._pool.scaled()
        self._site.note()

    def replace(self) -> None:
        """Let a new release take over: idle workers go at once, busy ones after their work."""
        for worker in list(self._pool.workers.values()):
            if not self._pool.is_current(worker):
                self._retire(worker)

    def review_idleness(self) -> None:
        """Apply changed limits to workers that are idle already."""
        for worker in list(self._pool.workers.values()):
            worker.end_idling()
            if not worker.jobs and worker.has_booted:
                self._watch_idleness(worker)

    @property
    def _now(self) -> float:
        return self._site.timeline.now()

    def _start(self) -> None:
        now, pool = self._now, self._pool
        fault = None if pool.is_hosted else self._site.faults.take("start")
        usual_s = 0.0 if pool.is_hosted else self._site.options.cold_start_s
        delay_s = cold_start_after(fault, usual_s)
        worker = Worker(
            self._site.new_id(),
            pool.version,
            pool.release,
            now,
            site=self._site,
            ready_at=now + delay_s,
            idle_since=now,
        )
        pool.workers[worker.id] = worker
        pool.scaled()
        worker.is_broken = fault is not None and fault.kind == "crash"
        if fault is not None and fault.kind == "capacity":
            seconds = fault.delay_s or _CARD_S
            self._site.timeline.after(seconds, lambda: self._place_late(worker, delay_s))
        else:
            self._place(worker)

    def _place_late(self, worker: Worker, delay_s: float) -> None:
        if worker.is_stopped:
            return
        worker.started_at = self._now
        worker.ready_at = self._now + delay_s
        self._place(worker)

    def _place(self, worker: Worker) -> None:
        if not self._pool.is_hosted:
            self._site.meter.start(worker.id, self._now)
        if worker.is_broken:
            self._site.timeline.at(worker.ready_at, lambda: self._crashed(worker))
            return
        worker.begin_boot()
        worker.machine = self._hire(worker)
        worker.machine.start()

    def _retire(self, worker: Worker) -> None:
        if worker.jobs:
            worker.is_draining = True
        else:
            self.stop(worker)

    def _ready(self, worker: Worker) -> None:
        if not worker.is_stopped and not worker.jobs:
            self.rest(worker)
        self._freed()
        self._site.note()

    def _watch_idleness(self, worker: Worker) -> None:
        if self._pool.is_hosted:
            return
        due = worker.idle_since + self._site.options.idle_s
        due = max(self._now, due)
        worker.idle_timer = self._site.timeline.at(due, lambda: self._idle_out(worker))

    def _idle_out(self, worker: Worker) -> None:
        worker.idle_timer = None
        if worker.is_stopped or worker.jobs:
            return
        if len(self._pool.active()) > max(self._pool.min_workers, self._pool.desired()):
            self.stop(worker)
