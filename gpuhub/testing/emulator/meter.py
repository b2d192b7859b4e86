"""The bill: how long each worker existed."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["BilledSeconds", "Meter"]


class BilledSeconds(dict[str, float]):
    """Worker id -> seconds billed so far."""

    @property
    def total(self) -> float:
        """Seconds of all workers together."""
        return sum(self.values())


@dataclass(slots=True)
class Meter:
    """Counts from a worker's start to its stop, cold start and idling included."""

    _running: dict[str, float] = field(default_factory=dict)
    _stopped: dict[str, float] = field(default_factory=dict)

    def start(self, worker: str, at: float) -> None:
        """Begin to bill a worker."""
        self._running[worker] = at

    def stop(self, worker: str, at: float) -> None:
        """End the bill of a worker; once is enough."""
        started = self._running.pop(worker, None)
        if started is not None:
            self._stopped[worker] = at - started

    def billed_seconds(self, now: float) -> BilledSeconds:
        """Give the bill of every worker, running or stopped, oldest first."""
        running = {worker: max(0.0, now - at) for worker, at in self._running.items()}
        return BilledSeconds(self._stopped | running)

    def running(self) -> tuple[str, ...]:
        """Give the workers that are billed now."""
        return tuple(self._running)
