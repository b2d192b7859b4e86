"""One worker of a pool: from its start, through predictions, to its stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from gpuhub.testing.emulator.workers import WorkerBase

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.models import Version
    from gpuhub_replicate.emulator.predictions import Prediction

__all__ = ["Machine", "Reports", "Worker"]


class Reports(Protocol):
    """What a machine tells, from any thread."""

    def booted(self) -> None:
        """It takes predictions."""
        ...

    def setup_failed(self, logs: str) -> None:
        """The runner's ``setup`` raised, or the runner cannot be loaded."""
        ...

    def exited(self, code: int) -> None:
        """It ended by itself."""
        ...

    def printed(self, prediction_id: str, text: str) -> None:
        """A prediction printed."""
        ...

    def item(self, prediction_id: str, value: Any) -> None:
        """An iterator gave an item."""
        ...

    def done(self, prediction_id: str, status: str, output: Any, error: str | None) -> None:
        """A prediction ended; ``output`` of an iterator is what :meth:`item` did not tell."""
        ...


class Machine(Protocol):
    """What runs a worker's code."""

    def start(self) -> None:
        """Begin; does not wait."""
        ...

    def stop(self) -> None:
        """End it and all it started; may be called twice."""
        ...

    def perform(self, prediction_id: str, inputs: dict[str, Any]) -> None:
        """Run a prediction."""
        ...

    def cancel(self, prediction_id: str) -> None:
        """Stop one; ``done`` is told when it has stopped."""
        ...


@dataclass(slots=True, eq=False)
class Worker(WorkerBase):
    """One worker.

    Attributes:
        id: Unique within the emulator.
        version: What it runs.
        release: Number of the deployment's release; 0 without one.
        started_at: When its container started, and billing began.
        machine: What runs its code; ``None`` before it has a place.
        is_broken: Its first start fails.
        jobs: What it runs, by id; what was cancelled stays until its code has stopped.
        printed: What its setup printed.
    """

    id: str
    version: Version
    release: int
    started_at: float
    machine: Machine | None = None
    is_broken: bool = False
    jobs: dict[str, Prediction] = field(default_factory=dict)
    printed: str = ""

    def room(self, now: float) -> int:
        """How many more it takes."""
        if not self.is_ready(now) or self.is_draining:
            return 0
        return max(0, self.version.concurrency - len(self.jobs))
