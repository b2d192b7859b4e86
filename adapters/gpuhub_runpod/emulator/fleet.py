"""Starts and stops the workers of an endpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.workers import cold_start_after
from gpuhub_runpod.emulator.autoscaler import Load, desired_workers
from gpuhub_runpod.emulator.rules import idles_by_request_count
from gpuhub_runpod.emulator.workers import Machine, Worker

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.endpoints import Endpoint
    from gpuhub_runpod.emulator.placement import Placement

__all__ = ["Fleet"]

_IDLE_S = 10.0
"""Guess: what holds for endpoints that take no ``workers.idleTimeout``."""


class Fleet:
    """The workers of one endpoint. Every method needs the lock.

    Args:
        endpoint: Whose they are.
        placement: Finds a card and makes machines.
        crashed: Told of a worker whose code ended by itself, with the exit code.
        freed: Told that some worker may take jobs now.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        placement: Placement,
        *,
        crashed: Callable[[Worker, int], None],
        freed: Callable[[], None],
    ) -> None:
        self._endpoint = endpoint
        self._site = endpoint.site
        self._placement = placement
        self._crashed = crashed
        self._freed = freed

    def scale(self) -> None:
        """Have as many workers as there should be; surplus ones only above the maximum."""
        if self._endpoint.is_deleted:
            return
        wanted = self._desired()
        active = self._active()
        for _ in range(wanted - len(active)):
            self.start()
        most = self._endpoint.config["workers"]["max"]
        if len(active) > most:
            by_need = sorted(active, key=lambda each: (bool(each.jobs), each.is_ready(self._now)))
            for worker in by_need[: len(active) - most]:
                self.retire(worker)

    def start(self) -> Worker:
        """Start one worker, or have it wait for a card."""
        now = self._now
        fault = self._site.faults.take("start")
        cold_start_s = cold_start_after(fault, self._site.options.cold_start_s)
        worker = self._placement.new_worker(self._endpoint, ready_at=now + cold_start_s)
        self._endpoint.workers[worker.id] = worker
        if fault is not None and fault.kind == "capacity":
            self._wait_for_card(worker, fault.delay_s)
        elif self._place(worker) and fault is not None and fault.kind == "crash":
            self._site.timeline.at(now, lambda: self._crashed(worker, 1))
        return worker

    def restart(self, worker: Worker) -> None:
        """Start the code of a worker again after it ended, or give the worker up."""
        self.unboot(worker)
        if worker.machine is not None:
            worker.machine.stop()
        if worker.is_draining:
            self.stop(worker)
        elif worker.crashes >= self._site.options.crashes_until_unhealthy:
            self.give_up(worker)
        else:
            worker.ready_at = self._now + self._site.options.cold_start_s
            self._boot(worker)

    def unboot(self, worker: Worker) -> None:
        """Give a worker no jobs until its code asks for some anew."""
        worker.end_boot()
        worker.end_return()
        worker.end_idling()
        worker.has_booted = False
        for taker in worker.takers:
            taker.size = 0
        worker.takers.clear()

    def give_up(self, worker: Worker) -> None:
        """Call a worker unhealthy; it stays, and is billed, until something replaces it."""
        self.unboot(worker)
        if worker.machine is not None:
            worker.machine.stop()
        worker.is_unhealthy = True
        worker.log.say("worker is unhealthy: its container ended again and again")
        self._site.note()

    def booted(self, worker: Worker) -> None:
        """Note that a worker's code asked for jobs."""
        if worker.has_booted:
            return
        worker.has_booted = True
        worker.end_boot()
        worker.log.say("worker is ready")
        self._site.timeline.at(max(self._now, worker.ready_at), lambda: self._ready(worker))

    def returning(self, worker: Worker) -> None:
        """Note that a worker sent a result: until it asks again, it is at work."""
        asks = worker.machine is not None and not worker.machine.at_once
        if asks and self._endpoint.is_queue and not worker.takers:
            worker.begin_return()

    def rest(self, worker: Worker) -> None:
        """Note that a worker has no job any more."""
        worker.idle_since = self._now
        if worker.is_draining:
            self.stop(worker)
        elif worker.idle_timer is None:
            self._watch_idleness(worker)

    def retire(self, worker: Worker) -> None:
        """Stop a worker: now, or after its last job."""
        if worker.jobs and worker.machine is not None:
            worker.is_draining = True
        else:
            self.stop(worker)

    def stop(self, worker: Worker) -> None:
        """Stop a worker, whatever it does."""
        if worker.is_stopped:
            return
        worker.is_stopped = True
        self.unboot(worker)
        worker.end_all()
        self._endpoint.workers.pop(worker.id, None)
        self._site.meter.stop(worker.id, self._now)
        if worker.machine is not None:
            worker.machine.stop()
        worker.log.say("worker stopped")
        worker.log.close()
        worker.stop_signal.fire()
        self._site.note()

    def replace(self) -> None:
        """Let a new release take over: idle workers at once, busy ones after their job."""
        current = self._endpoint.release
        for worker in list(self._endpoint.workers.values()):
            if worker.release is not current:
                self.retire(worker)

    def review_idleness(self) -> None:
        """Apply changed limits to workers that are idle already."""
        for worker in list(self._endpoint.workers.values()):
            worker.end_idling()
            if not worker.jobs:
                self._watch_idleness(worker)

    def look_for_cards(self) -> None:
        """Place workers that wait for a card, now that there may be some."""
        for worker in list(self._endpoint.workers.values()):
            if worker.is_throttled:
                worker.ready_at = self._now + self._site.options.cold_start_s
                self._place(worker)

    @property
    def _now(self) -> float:
        return self._site.timeline.now()

    def _active(self) -> list[Worker]:
        return [each for each in self._endpoint.workers.values() if not each.is_draining]

    def _desired(self) -> int:
        endpoint, now, active = self._endpoint, self._now, self._active()
        waits = [now - job.queued_at for job in endpoint.queue if not job.low_priority]
        waits += [0.0] * endpoint.visitors
        running = sum(len(worker.jobs) for worker in active)
        load = Load(waits, running, busy=sum(bool(worker.jobs) for worker in active))
        return desired_workers(endpoint.config["workers"], endpoint.config["scaling"], load)

    def _place(self, worker: Worker) -> bool:
        """Give a worker a card and start it; without one it waits."""
        if not self._placement.find_card(self._endpoint, worker):
            self._wait_for_card(worker, 0)
            return False
        worker.is_throttled = False
        worker.started_at = worker.idle_since = self._now
        if not worker.release.is_broken:  # getting an image is not billed
            self._site.meter.start(worker.id, self._now)
        self._boot(worker)
        return True

    def _wait_for_card(self, worker: Worker, seconds: float) -> None:
        worker.is_throttled = True
        worker.log.say("waiting for a machine: none with such a card is free")
        if seconds:
            self._site.timeline.after(seconds, self.look_for_cards)

    def _boot(self, worker: Worker) -> None:
        if worker.release.is_broken:
            self._placement.explain_breakage(worker)
            self.give_up(worker)
            return
        worker.begin_boot()
        worker.boots += 1
        worker.machine = self._placement.machine(
            self._endpoint, worker, exited=lambda machine, code: self._exited(worker, machine, code)
        )
        worker.machine.start()
        if worker.machine.at_once:
            self.booted(worker)
        elif not self._endpoint.is_queue:
            self._placement.watch_health(self._endpoint, worker)

    def _exited(self, worker: Worker, machine: Machine, code: int) -> None:
        """Called by a machine's own thread."""
        with self._site.timeline.lock:
            if worker.machine is machine and not worker.is_stopped:
                self._crashed(worker, code)

    def _ready(self, worker: Worker) -> None:
        if not worker.is_stopped and not worker.jobs:
            self.rest(worker)
        self._freed()
        self._site.note()

    def _watch_idleness(self, worker: Worker) -> None:
        limits = self._endpoint.config["workers"]
        fixed = idles_by_request_count(self._endpoint.config)
        idle_s = _IDLE_S if fixed else limits["idleTimeout"]
        due = worker.idle_since + idle_s
        if due <= self._now:
            due = self._now + (idle_s if self._endpoint.queue else 0)
        worker.idle_timer = self._site.timeline.at(due, lambda: self._idle_out(worker))

    def _idle_out(self, worker: Worker) -> None:
        worker.idle_timer = None
        if worker.is_stopped or worker.jobs:
            return
        if self._endpoint.queue:  # it comes for these in a moment
            self._watch_idleness(worker)
        elif len(self._active()) > self._endpoint.config["workers"]["min"]:
            self.stop(worker)
