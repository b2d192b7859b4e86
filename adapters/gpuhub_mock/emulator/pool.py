"""The queue of one deployment, and how many workers serve it."""

from __future__ import annotations

import math
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from gpuhub.adapter import Phase
from gpuhub_mock.emulator.autoscaler import calls_on, desired_workers
from gpuhub_mock.emulator.bodies import Workers
from gpuhub_mock.emulator.fleet import Fleet, start_events
from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.emulator.rollouts import Rollouts

if TYPE_CHECKING:
    from gpuhub_mock.emulator.calls import Call
    from gpuhub_mock.emulator.logs import LogBook
    from gpuhub_mock.emulator.site import Site
    from gpuhub_mock.emulator.versions import VersionRecord
    from gpuhub_mock.emulator.workers import Worker

__all__ = ["Pool"]

_AFTER_FAILURE_S = 10.0


class Pool:
    """Gives calls to workers, and decides when to start and stop them. Needs the site's lock.

    Time moves in :meth:`process`, from one event to the next, so that a clock that jumps an hour
    gives the same bill as one that ticks.

    Args:
        site: What the provider's parts share.
        logs: The deployment's log.

    Attributes:
        at: Clock seconds up to which everything has happened.
        limits: In force now.
        queue: Calls that wait for a worker.
        fleet: The workers.
        rollouts: Which version serves, and which one will.
    """

    def __init__(self, site: Site, logs: LogBook) -> None:
        self.at = site.clock.now()
        self.limits = Workers()
        self.queue: deque[Call] = deque()
        self.fleet = Fleet(site, logs, self)
        self.rollouts = Rollouts(self.fleet, logs)
        self._site = site
        self._logs = logs
        self._quiet_until = -math.inf

    @property
    def version(self) -> VersionRecord | None:
        """The version that serves."""
        return self.rollouts.current

    @property
    def workers(self) -> list[Worker]:
        """All workers, oldest first."""
        return self.fleet.workers

    # Versions

    def roll_out(self, version: VersionRecord, now: float) -> None:
        """Let a version serve: at once, or when it is built and its first warm worker is ready."""
        if self.rollouts.begin(version, now):
            self.activate(version, now)

    def activate(self, version: VersionRecord, now: float) -> None:
        """Let a version serve now; workers of others finish their calls and stop."""
        self.rollouts.complete(version, now)
        self.limits = version.body.workers
        self.dispatch(now)

    def change_limits(self, limits: Workers, now: float) -> None:
        """Put other limits in force."""
        self.limits = limits
        surplus = len(self.fleet.alive(self.version)) - limits.max
        idle = [worker for worker in self.workers if worker.state == "idle"]
        for worker in idle[: max(0, surplus)]:
            self.fleet.stop(worker, now, "max_workers was lowered")
        self.dispatch(now)
        self._stop_idle(now)

    # Calls

    def add(self, call: Call, now: float) -> None:
        """Queue a call, and place it if a worker is free."""
        self.queue.append(call)
        self.dispatch(now)

    def dispatch(self, now: float) -> None:
        """Place waiting calls and start the workers that the load asks for."""
        self._assign(now)
        self._scale_up(now)
        if self.queue and not self.fleet.is_busy():
            # Whoever waits for running code must see that now only time can help.
            for call in self.queue:
                call.notify()

    def release(self, call: Call, worker: Worker, now: float) -> None:
        """Free the place of a call that ended, or that is run again."""
        worker.calls.discard(call)
        if worker.is_draining and not worker.calls:
            self.fleet.stop(worker, now, "its last call ended")
        elif not worker.calls:
            worker.idle_since = now
        self.dispatch(now)
        self._stop_idle(now)

    def end_running(self, call: Call, phase: Phase, now: float, problem: Refusal | None) -> bool:
        """End a running call from outside; gives whether its code has certainly stopped.

        Code of this process cannot be stopped: its worker is given up, and a new one started when
        needed.
        """
        worker = call.worker
        call.end(phase, now, problem=problem)
        if worker is None:
            return True
        if call.followers or call not in worker.calls:  # one of a batch, which goes on
            return False
        stopped = call.hangs or worker.runner.can_be_killed
        worker.calls.discard(call)
        if not call.hangs:
            self.fleet.retire(worker, now, f"call {call.id} was ended: {phase.value}")
        self.release(call, worker, now)
        return stopped

    def cancel(self, call: Call, now: float) -> bool:
        """Cancel a call; gives whether its code has certainly stopped."""
        stopped = True
        if call.phase is Phase.RUNNING:
            stopped = self.end_running(call, Phase.CANCELLED, now, None)
        else:
            with suppress(ValueError):  # it was never queued here
                self.queue.remove(call)
            call.end(Phase.CANCELLED, now)
        self._site.closed(call, now)
        return stopped

    def time_out(self, call: Call, now: float) -> None:
        """End a call that ran longer than it may, with its batch."""
        self._logs.write(f"call {call.id} timed out", call.worker.id if call.worker else "")
        members, call.followers = (call, *call.followers), ()
        for each in members:
            if not each.is_over:
                self.end_running(each, Phase.TIMED_OUT, now, None)
                self._site.closed(each, now)

    def _assign(self, now: float) -> None:
        while self.queue:
            worker = self.fleet.with_room(self.version, self.limits.concurrency)
            call = self._take(now) if worker is not None else None
            if worker is None or call is None:
                return
            worker.calls.add(call)
            for each in (call, *call.followers):
                each.worker, each.started_at, each.phase = worker, now, Phase.RUNNING
            if call.hangs:
                continue
            if call.claimed:
                call.notify()
            else:
                call.taken, call.began = True, time.monotonic()
                self._site.threads.submit(self._site.run, call)

    def _take(self, now: float) -> Call | None:
        """Take the next call or batch off the queue; ``None`` while a batch may still fill."""
        batching = self.version.body.calls.batching if self.version else None
        if batching is None:
            return self.queue.popleft()
        if len(self.queue) < batching.max_size and now < self._batch_due():
            return None
        size = min(batching.max_size, len(self.queue))
        first, *others = [self.queue.popleft() for _ in range(size)]
        first.followers = tuple(others)
        return first

    def _batch_due(self) -> float:
        batching = self.version.body.calls.batching if self.version else None
        return self.queue[0].queued_at + batching.wait_s if batching and self.queue else math.inf

    def _fail_queue(self, problem: Refusal, now: float) -> None:
        while self.queue:
            call = self.queue.popleft()
            call.end(Phase.FAILED, now, problem=problem)
            self._site.closed(call, now)

    # Workers

    def warm(self, now: float) -> None:
        """Start a worker if there is none."""
        version = self.version or self.rollouts.pending
        if version is not None and not self.fleet.alive(version):
            self.fleet.start(version, now)

    def worker_ready(self, worker: Worker, now: float) -> None:
        """Let a worker take calls, and a version serve whose first worker it is."""
        if worker.version is self.rollouts.pending:
            if failure := worker.runner.failure:
                for line in failure.splitlines():
                    self._logs.write(line, worker.id, "stderr")
                self.worker_failed(worker, "setup() failed", now)
                return
            self.activate(worker.version, now)
        self.dispatch(now)

    def worker_failed(self, worker: Worker, why: str, now: float) -> None:
        """Give up a worker that did not come up, and the calls that waited for one."""
        if worker.is_stopped:
            return
        self.fleet.stop(worker, now, why)
        if worker.version is self.rollouts.pending:
            self.rollouts.fail(now)
            return
        self._start_failed(Refusal(500, "start_failed", why), now)

    def _start_failed(self, problem: Refusal, now: float) -> None:
        self._quiet_until = now + _AFTER_FAILURE_S
        if not any(worker.is_ready for worker in self.workers):
            self._fail_queue(problem, now)

    def _scale_up(self, now: float) -> None:
        if self.version is None:
            return
        batching = self.version.body.calls.batching
        workers = self.fleet.alive(self.version)
        load = len(self.queue) + calls_on(workers)
        wanted = desired_workers(self.limits, load, batching.max_size if batching else 1)
        missing = wanted - len(workers)
        if missing <= 0 or (workers and now < self._may_grow_at()):
            return
        if now < self._quiet_until and not self.queue:
            return
        try:
            for _ in range(missing):
                self.fleet.start(self.version, now)
        except Refusal as problem:
            self._logs.write(f"no worker can start: {problem.message}")
            self._start_failed(problem, now)

    def _may_grow_at(self) -> float:
        """When the load may add a worker to those there are."""
        delay = self.limits.scale_up_delay_s
        if delay is None or len(self.fleet.alive(self.version)) < self.limits.min:
            return -math.inf
        return self.queue[0].queued_at + delay if self.queue else -math.inf

    def _surplus(self) -> int:
        return len(self.fleet.alive(self.version)) - self.limits.min

    def _stop_idle(self, now: float) -> None:
        patience = self.limits.idle_timeout_s
        for worker in list(self.workers):
            is_due = worker.state == "idle" and worker.idle_since + patience <= now
            if is_due and self._surplus() > 0:
                self.fleet.stop(worker, now, f"idle for {patience:g} s")

    # Time

    def next_event(self) -> float:
        """When something happens by itself; infinity for never."""
        times = [self.rollouts.built_at, self._quiet_until, *self._queue_events()]
        is_surplus = self._surplus() > 0
        for worker in self.workers:
            times += start_events(worker)
            times += [self._timeout_at(call) for call in worker.calls]
            if is_surplus and worker.state == "idle":
                times.append(worker.idle_since + self.limits.idle_timeout_s)
        return min((time for time in times if time > self.at), default=math.inf)

    def process(self, now: float) -> None:
        """Let happen what is due."""
        running = [call for worker in self.workers for call in worker.calls]
        for call in [call for call in running if self._timeout_at(call) <= now]:
            self.time_out(call, now)
        self.fleet.look_after_starts(now)
        if self.rollouts.built_at <= now and (version := self.rollouts.built(now)):
            self.activate(version, now)
        self.dispatch(now)
        self._stop_idle(now)

    def wake_at(self, call: Call) -> float | None:
        """When the clock alone certainly brings a call further; ``None``: only running code can."""
        if call.phase is Phase.RUNNING:
            return self._timeout_at(call) if call.hangs else None
        times = [self.rollouts.built_at]
        for worker in self.workers:
            times += start_events(worker)
            times += [self._timeout_at(call) for call in worker.calls if call.hangs]
        if not self.fleet.is_busy():
            times += self._queue_events()
        # Code that really runs takes no virtual time: no move may carry it past its timeout.
        running = [call for worker in self.workers for call in worker.calls if not call.hangs]
        latest = min((self._timeout_at(call) for call in running), default=math.inf)
        return min((time for time in times if self.at < time < latest), default=None)

    def timeout_s(self, call: Call) -> float:
        """Seconds a run of a call may take."""
        version = call.worker.version if call.worker else self.version
        return version.body.calls.timeout_s if version else math.inf

    def _timeout_at(self, call: Call) -> float:
        return math.inf if call.started_at is None else call.started_at + self.timeout_s(call)

    def _queue_events(self) -> list[float]:
        return [self._batch_due(), self._may_grow_at()] if self.queue else []
