"""The workers and the queue of one deployment."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from gpuhub.adapter import Phase, Rollout
from gpuhub_mock.emulator.autoscaler import desired_workers
from gpuhub_mock.emulator.bodies import Workers
from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.emulator.runners import make_runner
from gpuhub_mock.emulator.workers import Worker, WorkerDied

if TYPE_CHECKING:
    from gpuhub_mock.emulator.calls import Call
    from gpuhub_mock.emulator.logs import LogBook
    from gpuhub_mock.emulator.site import Site
    from gpuhub_mock.emulator.versions import VersionRecord

__all__ = ["Pool"]

_LONG_COLD_START_S = 30.0
_AFTER_FAILURE_S = 10.0


class Pool:
    """Starts workers for waiting calls and stops idle ones. Every method needs the site's lock.

    Time moves in :meth:`process`, from one event to the next, so that a clock that jumps an hour
    gives the same bill as one that ticks.

    Args:
        name: Of the deployment.
        site: What it shares with others.
        logs: The deployment's log.
    """

    def __init__(self, name: str, site: Site, logs: LogBook) -> None:
        self.name = name
        self.version: VersionRecord | None = None
        self.pending: VersionRecord | None = None
        self.limits = Workers()
        self.workers: list[Worker] = []
        self.queue: deque[Call] = deque()
        self.next_cold_start_s: float | None = None
        self.at = site.clock.now()
        self._site = site
        self._logs = logs
        self._pending_until = math.inf
        self._quiet_until = -math.inf

    # Versions

    def roll_out(self, version: VersionRecord, now: float) -> None:
        """Let a version serve: at once, or when it is built and its first warm worker is ready."""
        build_s = version.body.simulation.build_s
        if build_s or version.body.workers.min:
            version.rollout = Rollout.IN_PROGRESS
            self._stop_pending(now)
            self.pending, self._pending_until = version, now + build_s
            if not build_s:
                self._start_pending(now)
        else:
            self.activate(version, now)

    def activate(self, version: VersionRecord, now: float) -> None:
        """Let a version serve now; workers of others finish their calls and stop."""
        version.rollout = Rollout.READY
        self.version, self.limits = version, version.body.workers
        self._pending_until = math.inf
        self.pending = None
        for worker in list(self.workers):
            if worker.version is not version:
                self._retire(worker, now, f"version {version.id} serves now")
        self.dispatch(now)

    def _start_pending(self, now: float) -> None:
        self._pending_until = math.inf
        version = self.pending
        if version is None:
            return
        if not version.body.workers.min:
            self.activate(version, now)
        for _ in range(version.body.workers.min):
            self._start(version, now)

    def _stop_pending(self, now: float) -> None:
        for worker in list(self.workers):
            if worker.version is self.pending and worker.version is not self.version:
                self.stop(worker, now, "a newer version is rolled out")

    # Calls

    def add(self, call: Call, now: float) -> None:
        """Queue a call, and place it if a worker is free."""
        self.queue.append(call)
        self.dispatch(now)

    def dispatch(self, now: float) -> None:
        """Place waiting calls and start the workers that the load asks for."""
        self._assign(now)
        self._scale_up(now)
        if self.queue and not self._is_busy():
            # Whoever waits for running code must see that now only time can help.
            for call in self.queue:
                call.notify()

    def release(self, call: Call, worker: Worker, now: float) -> None:
        """Free the place of a call that ended, or that is run again."""
        worker.calls.discard(call)
        if worker.is_draining and not worker.calls:
            self.stop(worker, now, "its last call ended")
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
        if call not in worker.calls:  # one of a batch, which goes on
            return False
        stopped = call.hangs or worker.runner.can_be_killed
        worker.calls.discard(call)
        if not call.hangs:
            self._retire(worker, now, f"call {call.id} was ended: {phase.value}")
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

    def in_flight(self) -> int:
        """Calls running, each one of a batch counted."""
        return _calls_on(self.workers)

    def _assign(self, now: float) -> None:
        while self.queue:
            worker = self._worker_with_room()
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

    def _worker_with_room(self) -> Worker | None:
        for worker in self.workers:
            if worker.has_room(self.version, self.limits.concurrency):
                return worker
        return None

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

    # Workers

    def warm(self, now: float) -> Worker | None:
        """Give a worker that takes calls or soon will, started if there is none."""
        version = self.version or self.pending
        alive = self._alive(version)
        if alive or version is None:
            return alive[0] if alive else None
        return self._start(version, now)

    def stop(self, worker: Worker, now: float, why: str) -> None:
        """End a worker and its bill."""
        if worker.is_stopped:
            return
        worker.is_stopped = True
        self.workers.remove(worker)
        self._site.meter.stop(worker.id, now)
        self._logs.write(f"{worker.id} stopped: {why}", worker.id)
        if worker.runner.can_be_killed:
            self._site.threads.submit(worker.runner.stop)  # waits for the process to end
        else:
            worker.runner.stop()

    def stop_all(self, now: float, why: str) -> list[Worker]:
        """End every worker."""
        stopped = list(self.workers)
        for worker in stopped:
            self.stop(worker, now, why)
        return stopped

    def change_limits(self, limits: Workers, now: float) -> None:
        """Put other limits in force."""
        self.limits = limits
        surplus = len(self._alive(self.version)) - limits.max
        idle = [worker for worker in self.workers if worker.state == "idle"]
        for worker in idle[: max(0, surplus)]:
            self.stop(worker, now, "max_workers was lowered")
        self.dispatch(now)
        self._stop_idle(now)

    def booted(self, worker: Worker, now: float) -> None:
        """Note that the user's code is loaded."""
        worker.booted = True
        if not worker.is_stopped and worker.ready_at <= now:
            self._ready(worker, now)

    def start_failed(self, worker: Worker, why: str, now: float) -> None:
        """Give up a worker that did not come up, and the calls that waited for one."""
        if worker.is_stopped:
            return
        self.stop(worker, now, why)
        if worker.version is self.pending:
            worker.version.rollout = Rollout.FAILED
            worker.version.log_tail = self._logs.tail()
            self._stop_pending(now)
            self.pending = None
            return
        self._quiet_until = now + _AFTER_FAILURE_S
        if not any(each.is_ready for each in self.workers):
            self._fail_queue(Refusal(500, "start_failed", why), now)

    def _fail_queue(self, problem: Refusal, now: float) -> None:
        while self.queue:
            call = self.queue.popleft()
            call.end(Phase.FAILED, now, problem=problem)
            self._site.closed(call, now)

    def _alive(self, version: VersionRecord | None) -> list[Worker]:
        return [w for w in self.workers if w.version is version and not w.is_draining]

    def _scale_up(self, now: float) -> None:
        if self.version is None:
            return
        batching = self.version.body.calls.batching
        workers = self._alive(self.version)
        load = len(self.queue) + _calls_on(workers)
        wanted = desired_workers(self.limits, load, batching.max_size if batching else 1)
        alive = len(workers)
        if wanted <= alive or (alive and now < self._may_grow_at()):
            return
        if now < self._quiet_until and not self.queue:
            return
        for _ in range(wanted - alive):
            if self._start(self.version, now) is None:
                return

    def _may_grow_at(self) -> float:
        """When the load may add a worker to those there are."""
        delay = self.limits.scale_up_delay_s
        if delay is None or len(self._alive(self.version)) < self.limits.min:
            return -math.inf
        return self.queue[0].queued_at + delay if self.queue else -math.inf

    def _start(self, version: VersionRecord, now: float) -> Worker | None:
        if self._site.is_shut:
            return None
        worker_id = self._site.new_worker_id()
        try:
            gpu = self.free_gpu(version)
            runner = make_runner(self._site, version, worker_id, self._logs)
        except Refusal as problem:
            self._logs.write(f"{worker_id} cannot start: {problem.message}", worker_id)
            self._quiet_until = now + _AFTER_FAILURE_S
            if not self.workers:
                self._fail_queue(problem, now)
            return None
        ready_at = now + self._cold_start_s(version)
        deadline = version.body.startup_timeout_s
        worker = Worker(worker_id, version, runner, gpu, now, ready_at, deadline and now + deadline)
        self.workers.append(worker)
        self._site.meter.start(worker_id, now)
        self._logs.write(f"{worker_id} starting ({worker.gpu or 'CPU'})", worker_id)
        if runner.slow_start:
            self._site.loading += 1
            self._site.threads.submit(self._boot, worker)
        else:
            self.booted(worker, now)
        return worker

    def free_gpu(self, version: VersionRecord) -> str:
        """Give what the next worker gets.

        Raises:
            Refusal: None of the acceptable GPUs is free.
        """
        gpu = version.gpu(self._site.out_of_stock)
        if gpu is None:
            kinds = " or ".join(choice.type for choice in version.body.hardware.gpu)
            raise Refusal(503, "no_capacity", f"no {kinds} is free now")
        return gpu

    def _cold_start_s(self, version: VersionRecord) -> float:
        fault = self._site.faults.take("start")
        if fault is not None and fault.kind == "cold_start":
            return fault.delay_s or _LONG_COLD_START_S
        if self.next_cold_start_s is not None:
            seconds, self.next_cold_start_s = self.next_cold_start_s, None
            return seconds or _LONG_COLD_START_S
        own = version.body.simulation.cold_start_s
        return self._site.options.cold_start_s if own is None else own

    def _boot(self, worker: Worker) -> None:
        """Load the user's code: on a thread, without the lock."""
        site, problem = self._site, ""
        site.loaders.add(threading.get_ident())
        try:
            worker.runner.boot()
        except WorkerDied as error:
            problem = str(error)
        with site.booted:
            site.loaders.discard(threading.get_ident())
            site.loading -= 1
            # Virtual time may stand at an earlier moment of a long jump, see `settle`.
            now = self.at if site.is_virtual else site.clock.now()
            if problem:
                self.start_failed(worker, problem, now)
            else:
                self.booted(worker, now)
            site.booted.notify_all()
            for call in self.queue:
                call.notify()

    def _ready(self, worker: Worker, now: float) -> None:
        worker.is_ready, worker.idle_since = True, now
        self._logs.write(f"{worker.id} ready after {now - worker.started_at:g} s", worker.id)
        if worker.version is self.pending:
            if failure := worker.runner.failure:
                for line in failure.splitlines():
                    self._logs.write(line, worker.id, "stderr")
                self.start_failed(worker, "setup() failed", now)
                return
            self.activate(worker.version, now)
        self.dispatch(now)

    def _retire(self, worker: Worker, now: float, why: str) -> None:
        if worker.calls:
            worker.is_draining = True
        else:
            self.stop(worker, now, why)

    def _surplus(self) -> int:
        return len(self._alive(self.version)) - self.limits.min

    def _stop_idle(self, now: float) -> None:
        for worker in list(self.workers):
            is_due = (
                worker.state == "idle" and worker.idle_since + self.limits.idle_timeout_s <= now
            )
            if is_due and self._surplus() > 0:
                self.stop(worker, now, f"idle for {self.limits.idle_timeout_s:g} s")

    # Time

    def next_event(self) -> float:
        """When something happens by itself; infinity for never."""
        times = [self._pending_until, self._quiet_until, *self._queue_events()]
        is_surplus = self._surplus() > 0
        for worker in self.workers:
            times += _start_events(worker)
            times += [self._timeout_at(call) for call in worker.calls]
            if is_surplus and worker.state == "idle":
                times.append(worker.idle_since + self.limits.idle_timeout_s)
        return min((time for time in times if time > self.at), default=math.inf)

    def process(self, now: float) -> None:
        """Let happen what is due."""
        for worker in list(self.workers):
            if worker.is_ready:
                for call in [call for call in worker.calls if self._timeout_at(call) <= now]:
                    self.time_out(call, now)
            elif worker.booted and worker.ready_at <= now:
                self._ready(worker, now)
            elif worker.deadline is not None and worker.deadline <= now:
                waited = worker.deadline - worker.started_at
                self.start_failed(worker, f"not ready after {waited:g} s (startup_timeout)", now)
        if self._pending_until <= now:
            self._start_pending(now)
        self.dispatch(now)
        self._stop_idle(now)

    def time_out(self, call: Call, now: float) -> None:
        """End a call that ran longer than it may."""
        self._logs.write(f"call {call.id} timed out", call.worker.id if call.worker else "")
        for each in (call, *call.followers):
            self.end_running(each, Phase.TIMED_OUT, now, None)
            self._site.closed(each, now)

    def wake_at(self, call: Call) -> float | None:
        """When the clock alone certainly brings a call further; ``None``: only running code can."""
        if call.phase is Phase.RUNNING:
            return self._timeout_at(call) if call.hangs else None
        times = [self._pending_until]
        for worker in self.workers:
            times += _start_events(worker)
            times += [self._timeout_at(call) for call in worker.calls if call.hangs]
        if not self._is_busy():
            times += self._queue_events()
        return min((time for time in times if self.at < time < math.inf), default=None)

    def _is_busy(self) -> bool:
        """Whether code runs that will bring calls further."""
        return any(not call.hangs for worker in self.workers for call in worker.calls)

    def is_loading(self, now: float) -> bool:
        """Whether a worker is only not ready because its code is still being loaded."""
        return any(worker.ready_at <= now and not worker.booted for worker in self.workers)

    def timeout_s(self, call: Call) -> float:
        """Seconds a run of a call may take."""
        version = call.worker.version if call.worker else self.version
        return version.body.calls.timeout_s if version else math.inf

    def _timeout_at(self, call: Call) -> float:
        return math.inf if call.started_at is None else call.started_at + self.timeout_s(call)

    def _queue_events(self) -> list[float]:
        return [self._batch_due(), self._may_grow_at()] if self.queue else []


def _calls_on(workers: list[Worker]) -> int:
    return sum(1 + len(call.followers) for worker in workers for call in worker.calls)


def _start_events(worker: Worker) -> list[float]:
    if worker.is_ready:
        return []
    return [worker.ready_at, math.inf if worker.deadline is None else worker.deadline]
