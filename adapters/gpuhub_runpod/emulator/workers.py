"""One worker of an endpoint: from its start, through jobs, to its stop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from typing_extensions import override

from gpuhub.testing.emulator.workers import WorkerBase

if TYPE_CHECKING:
    from gpuhub.testing.emulator.logs import WorkerLog
    from gpuhub.testing.emulator.signals import Signal
    from gpuhub_runpod.emulator.jobs import Job
    from gpuhub_runpod.emulator.releases import Release

__all__ = ["Machine", "MachineOrder", "Status", "Taker", "Worker"]

Status = Literal["RUNNING", "IDLE", "INITIALIZING", "THROTTLED", "UNHEALTHY"]


@dataclass(frozen=True, slots=True)
class MachineOrder:
    """What a machine has to run.

    Attributes:
        worker_id: Whose machine it is.
        image: Its container image.
        args: The endpoint's ``args``: one string, split as a shell does.
        env: All its variables, the platform's included.
        log: Takes what it prints.
        exited: Called, from any thread, when it ended by itself; with its exit code.
    """

    worker_id: str
    image: str
    args: str
    env: dict[str, str] = field(repr=False)
    log: WorkerLog
    exited: Callable[[int], None]


class Machine(Protocol):
    """What runs a worker's code."""

    at_once: int
    """Jobs it runs at the same time when they are handed to it; 0: it asks for jobs over HTTP."""

    def start(self) -> None:
        """Begin; does not wait."""
        ...

    def stop(self) -> None:
        """End it and all it started; may be called twice."""
        ...

    def perform(self, jobs: list[Job]) -> None:
        """Run jobs that it did not ask for."""
        ...


@dataclass(slots=True, eq=False)
class Taker:
    """A request for jobs that waits for some.

    Attributes:
        future: Resolves on the server's loop with the jobs.
        size: How many it wants at most.
        jobs: What it is given, until it is told.
    """

    future: asyncio.Future[list[Job]]
    size: int
    jobs: list[Job] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Worker(WorkerBase):
    """One worker.

    Attributes:
        id: Unique within the emulator.
        release: Which configuration it runs.
        started_at: When its container started, and billing began.
        log: Its lines.
        stop_signal: Fires when jobs are to be stopped.
        gpu_type: Which card it has; ``None`` on a CPU, or without a place.
        data_center: Where it is.
        machine: What runs its code; ``None`` before it has a place.
        is_throttled: It waits for a card.
        is_unhealthy: It was given up.
        crashes: Ends of its code since its last job.
        boots: Starts of its code; what an earlier one still sends is ignored.
        jobs: What it runs, by id.
        takers: Its requests for jobs.
        to_stop: Ids of jobs it has to be told to stop.
        port: Where it listens, for a load balancer.
        health_port: Where it answers health checks.
        pinged_at: When it last said that it lives.
    """

    id: str
    release: Release
    started_at: float
    log: WorkerLog
    stop_signal: Signal
    gpu_type: str | None = None
    data_center: str = ""
    machine: Machine | None = None
    is_throttled: bool = False
    is_unhealthy: bool = False
    crashes: int = 0
    boots: int = 0
    jobs: dict[str, Job] = field(default_factory=dict)
    takers: deque[Taker] = field(default_factory=deque)
    to_stop: list[str] = field(default_factory=list)
    port: int = 0
    health_port: int = 0
    pinged_at: float | None = None

    @override
    def is_ready(self, now: float) -> bool:
        """Whether it can take jobs."""
        # A class with slots knows no super() without arguments.
        return WorkerBase.is_ready(self, now) and not self.is_unhealthy

    def status(self, now: float) -> Status:
        """Give its state in RunPod's words."""
        if self.is_unhealthy:
            return "UNHEALTHY"
        if self.is_throttled:
            return "THROTTLED"
        if not self.is_ready(now):
            return "INITIALIZING"
        return "RUNNING" if self.jobs else "IDLE"

    def room(self, now: float) -> int:
        """How many jobs it takes now."""
        if self.machine is None or self.is_draining or not self.is_ready(now):
            return 0
        if any(job.hangs or job.crashes for job in self.jobs.values()):
            return 0
        if self.machine.at_once:
            return self.machine.at_once - len(self.jobs)
        return sum(taker.size - len(taker.jobs) for taker in self.takers)

    def shown(self, now: float, version: int, started_at: str, image: str) -> dict[str, Any]:
        """Give RunPod's description; ``version`` is the endpoint's current one."""
        placed = not self.is_throttled
        gpus = self.release.config.get("gpu", {}).get("count", 0)
        return {
            "id": self.id,
            "status": self.status(now),
            "isStale": self.release.version != version,
            "version": self.release.version,
            "gpuCount": gpus,
            "image": image,
            "uptimeSeconds": int(now - self.started_at) if placed else None,
            "gpuTypeId": self.gpu_type if placed else None,
            "dataCenterId": self.data_center if placed else None,
            "startedAt": started_at if placed else None,
        }
