"""The workers of one deployment: started, loaded, stopped, billed."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Protocol

from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.emulator.runners import make_runner
from gpuhub_mock.emulator.workers import Worker, WorkerDied

if TYPE_CHECKING:
    from gpuhub_mock.emulator.logs import LogBook
    from gpuhub_mock.emulator.site import Site
    from gpuhub_mock.emulator.versions import VersionRecord

__all__ = ["Fleet", "FleetOwner", "start_events"]

_LONG_COLD_START_S = 30.0


class FleetOwner(Protocol):
    """Who is told about workers; under the lock."""

    at: float

    def worker_ready(self, worker: Worker, now: float) -> None:
        """A worker takes calls from now on."""
        ...

    def worker_failed(self, worker: Worker, why: str, now: float) -> None:
        """A worker did not come up."""
        ...


class Fleet:
    """Starts and stops workers. Every method needs the site's lock.

    Args:
        site: What the provider's parts share.
        logs: The deployment's log.
        owner: Is told when workers are ready, or fail.
    """

    def __init__(self, site: Site, logs: LogBook, owner: FleetOwner) -> None:
        self.workers: list[Worker] = []
        self.next_cold_start_s: float | None = None
        self._site = site
        self._logs = logs
        self._owner = owner

    def start(self, version: VersionRecord, now: float) -> Worker | None:
        """Start a worker; ``None`` after the provider was shut down.

        Raises:
            Refusal: There is no GPU for it, or no secret, or no bundle.
        """
        if self._site.is_shut:
            return None
        worker_id = self._site.new_worker_id()
        gpu = self.free_gpu(version)
        runner = make_runner(self._site, version, worker_id, self._logs)
        ready_at = now + self._cold_start_s(version)
        limit_s = version.body.startup_timeout_s
        deadline = math.inf if limit_s is None else now + limit_s
        worker = Worker(worker_id, version, runner, gpu, now, ready_at, deadline)
        self.workers.append(worker)
        self._site.meter.start(worker_id, now)
        self._logs.write(f"{worker_id} starting ({worker.gpu or 'CPU'})", worker_id)
        if runner.slow_start:
            self._site.loading += 1
            self._site.threads.submit(self._boot, worker)
        else:
            self._booted(worker, now)
        return worker

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

    def retire(self, worker: Worker, now: float, why: str) -> None:
        """End a worker now, or after its last call."""
        if worker.calls:
            worker.is_draining = True
        else:
            self.stop(worker, now, why)

    def stop_all(self, now: float, why: str) -> list[Worker]:
        """End every worker."""
        stopped = list(self.workers)
        for worker in stopped:
            self.stop(worker, now, why)
        return stopped

    def alive(self, version: VersionRecord | None) -> list[Worker]:
        """Give the workers of a version that take calls or soon will."""
        return [each for each in self.workers if each.version is version and not each.is_draining]

    def with_room(self, version: VersionRecord | None, concurrency: int) -> Worker | None:
        """Give the first worker of a version that can take one more call."""
        for worker in self.workers:
            if worker.has_room(version, concurrency):
                return worker
        return None

    def is_busy(self) -> bool:
        """Whether code runs that will bring calls further."""
        return any(not call.hangs for worker in self.workers for call in worker.calls)

    def is_loading(self, now: float) -> bool:
        """Whether a worker is only not ready because its code is still being loaded."""
        return any(worker.ready_at <= now and not worker.booted for worker in self.workers)

    def look_after_starts(self, now: float) -> None:
        """Let workers become ready whose cold start is over, and give up those that are late."""
        for worker in list(self.workers):
            if worker.is_ready:
                continue
            if worker.booted and worker.ready_at <= now:
                self._ready(worker, now)
            elif worker.deadline <= now:
                waited = worker.deadline - worker.started_at
                why = f"not ready after {waited:g} s (startup_timeout)"
                self._owner.worker_failed(worker, why, now)

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
        except Exception as error:  # noqa: BLE001 - whoever waits for this worker must be told
            problem = f"{type(error).__name__}: {error}"
        with site.booted:
            site.loaders.discard(threading.get_ident())
            site.loading -= 1
            # Virtual time may stand at an earlier moment of a long jump, see `settle`.
            now = self._owner.at if site.is_virtual else site.clock.now()
            if problem:
                self._owner.worker_failed(worker, problem, now)
            else:
                self._booted(worker, now)
            site.booted.notify_all()

    def _booted(self, worker: Worker, now: float) -> None:
        worker.booted = True
        if not worker.is_stopped and worker.ready_at <= now:
            self._ready(worker, now)

    def _ready(self, worker: Worker, now: float) -> None:
        worker.is_ready, worker.idle_since = True, now
        self._logs.write(f"{worker.id} ready after {now - worker.started_at:g} s", worker.id)
        self._owner.worker_ready(worker, now)


def start_events(worker: Worker) -> list[float]:
    """When something about a worker's start happens by itself."""
    return [] if worker.is_ready else [worker.ready_at, worker.deadline]
