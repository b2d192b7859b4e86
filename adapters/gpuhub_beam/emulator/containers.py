"""One container of a stub: from its order, through tasks, to its stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from gpuhub.testing.emulator.workers import WorkerBase

if TYPE_CHECKING:
    from gpuhub.testing.emulator.logs import WorkerLog
    from gpuhub_beam.emulator.tasks import Task

__all__ = ["Container", "Machine", "MachineOrder", "Status"]

Status = Literal["PENDING", "RUNNING", "STOPPING"]


@dataclass(frozen=True, slots=True)
class MachineOrder:
    """What a machine has to run.

    Attributes:
        container_id: Whose machine it is.
        kind: ``endpoint``, ``asgi``, ``taskqueue``, ``function`` or ``schedule``.
        env: All its variables, the gateway's included.
        folder: The unpacked code.
        log: Takes what it prints.
        exited: Called, from any thread, when it ended by itself; with its exit code.
    """

    container_id: str
    kind: str
    env: dict[str, str] = field(repr=False)
    folder: str
    log: WorkerLog
    exited: Callable[[int], None]


class Machine(Protocol):
    """What runs a container's processes."""

    port: int
    """Where it serves HTTP; 0: it fetches its tasks."""

    def start(self) -> None:
        """Begin; does not wait."""
        ...

    def stop(self) -> None:
        """End it and all it started; may be called twice."""
        ...

    def interrupt(self, task: Task) -> None:
        """End the process that runs a task; another takes its place."""
        ...


@dataclass(slots=True, eq=False)
class Container(WorkerBase):
    """One container.

    Attributes:
        id: ``<kind>-<stub id>-<8 hex>``.
        scheduled_at: When it was ordered.
        log: Its lines.
        gpu: What card it has.
        machine: What runs it; ``None`` while there is no place for it.
        started_at: When its cold start ended.
        tasks: What it runs, by id.
    """

    id: str
    scheduled_at: float
    log: WorkerLog
    gpu: str = ""
    machine: Machine | None = None
    started_at: float | None = None
    tasks: dict[str, Task] = field(default_factory=dict)

    def status(self, now: float) -> Status:
        """Give its state in Beam's words."""
        return "RUNNING" if self.is_ready(now) else "PENDING"

    def shown(self, now: float, wall: float, facts: dict[str, Any]) -> dict[str, Any]:
        """Give the REST API's description."""
        offset = wall - now
        started = int(self.started_at + offset) if self.started_at is not None else 0
        return {
            "container_id": self.id,
            "status": self.status(now),
            "scheduled_at": int(self.scheduled_at + offset),
            "started_at": started,
            "gpu": self.gpu,
            "worker_id": "emulated",
            "machine_id": "",
            **facts,
        }
