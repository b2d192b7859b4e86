"""Jobs: from their submit to the end of their results."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from gpuhub.testing.emulator.signals import RealTimer, Signal
    from gpuhub.testing.emulator.timeline import Timer
    from gpuhub_runpod.emulator.workers import Worker

__all__ = ["FINAL", "Job", "State"]

State = Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"]

FINAL: frozenset[State] = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"})


@dataclass(slots=True, eq=False)
class Job:
    """One job. Changed with the lock held; times are clock seconds.

    Attributes:
        id: ``…-u1``, or ``sync-…-u1`` for ``/runsync``.
        document: What its worker is given beside the id: ``input`` and further keys.
        submitted_at: When it was accepted.
        kept_s: How long its result is kept.
        execution_timeout_s: How long it may run.
        changed: Fires at each change.
        size: Bytes of the request.
        webhook: URL told of its end.
        low_priority: It starts no workers.
        state: Where it is.
        queued_at: When it was last put into the queue.
        started_at: When a worker took it.
        ended_at: When it ended.
        output: What the worker gave.
        has_output: Whether it gave any.
        error: Why it failed.
        worker: Who runs or ran it.
        worker_id: Its id, also after it is gone.
        attempts: How often a worker took it.
        stream: Items not yet fetched.
        streamed: How many items came so far.
        hangs: It never ends by itself.
        crashes: Its worker dies under it.
        timers: Its time-out and the end of its life.
    """

    id: str
    document: dict[str, Any]
    submitted_at: float
    kept_s: float
    execution_timeout_s: float
    changed: Signal
    size: int = 0
    webhook: str | None = None
    low_priority: bool = False
    state: State = "IN_QUEUE"
    queued_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    output: Any = None
    has_output: bool = False
    error: str | None = None
    worker: Worker | None = None
    worker_id: str = ""
    attempts: int = 0
    stream: deque[Any] = field(default_factory=deque)
    streamed: int = 0
    hangs: bool = False
    crashes: bool = False
    timers: dict[str, Timer | RealTimer] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL

    @property
    def is_sync(self) -> bool:
        """Whether somebody waits for it."""
        return self.id.startswith("sync-")

    def stop_timer(self, name: str) -> None:
        """Call off one of its timers."""
        timer = self.timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def shown(self) -> dict[str, Any]:
        """Give the answer of ``/status``."""
        body: dict[str, Any] = {"id": self.id, "status": self.state}
        if self.started_at is not None:
            body["delayTime"] = _milliseconds(self.started_at - self.submitted_at)
            body["workerId"] = self.worker_id
            if self.ended_at is not None:
                body["executionTime"] = _milliseconds(self.ended_at - self.started_at)
        if self.has_output:
            body["output"] = self.output
        if self.error is not None:
            body["error"] = self.error
        return body


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
