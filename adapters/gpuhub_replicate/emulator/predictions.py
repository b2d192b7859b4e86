"""Predictions: from their creation to the end of their data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from gpuhub.testing.emulator.signals import RealTimer, Signal
    from gpuhub.testing.emulator.timeline import Timer
    from gpuhub_replicate.emulator.models import Version
    from gpuhub_replicate.emulator.workers import Worker

__all__ = ["FINAL", "Hook", "Prediction", "State"]

State = Literal["starting", "processing", "succeeded", "failed", "canceled", "aborted"]

FINAL: frozenset[State] = frozenset({"succeeded", "failed", "canceled", "aborted"})


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook.

    Attributes:
        url: Where to.
        events: Which: ``start``, ``output``, ``logs``, ``completed``.
    """

    url: str
    events: frozenset[str]


@dataclass(slots=True, eq=False)
class Prediction:
    """One prediction. Changed with the lock held; times are clock seconds.

    Attributes:
        id: 26 letters and digits.
        model: ``owner/name``.
        version: What runs it.
        pool: Key of the pool whose workers run it.
        input: As it was sent.
        created: When it was accepted.
        created_at: The same, as the API shows it.
        changed: Fires at each change.
        shows_version: Whether the version is told; of official models it is ``hidden``.
        deployment: ``owner/name``, if it was sent to one.
        hook: Whom to tell.
        deadline: When it is cut off, by ``Cancel-After``.
        deadline_at: The same, as the API shows it.
        status: Where it is.
        output: What came so far.
        items: Of iterators: how many items came.
        logs: What was printed.
        error: Why it failed.
        started: When a worker took it.
        ended: When it ended.
        started_at: As the API shows it.
        completed_at: As the API shows it.
        worker: Who runs or ran it.
        hangs: It never ends by itself.
        crashes: Its worker dies under it.
        is_erased: Its data were removed.
        files: Links to its output.
        timers: What may end it, and the end of its data.
    """

    id: str
    model: str
    version: Version
    pool: str
    input: dict[str, Any]
    created: float
    created_at: str
    changed: Signal
    shows_version: bool = True
    deployment: str = ""
    hook: Hook | None = None
    deadline: float | None = None
    deadline_at: str = ""
    status: State = "starting"
    output: Any = None
    items: int = 0
    logs: str = ""
    error: str | None = None
    started: float | None = None
    ended: float | None = None
    started_at: str | None = None
    completed_at: str | None = None
    worker: Worker | None = None
    hangs: bool = False
    crashes: bool = False
    is_erased: bool = False
    files: list[str] = field(default_factory=list)
    timers: dict[str, Timer | RealTimer] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in FINAL

    def stop_timer(self, name: str) -> None:
        """Call off one of its timers."""
        timer = self.timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def erase(self) -> None:
        """Remove its data; that it was is kept."""
        self.input, self.output, self.logs = {}, None, ""
        self.is_erased = True
        self.changed.fire()

    def shown(self, base: str) -> dict[str, Any]:
        """Give the API's description.

        Args:
            base: Address of the emulator.
        """
        body: dict[str, Any] = {
            "id": self.id,
            "model": self.model,
            "version": self.version.id if self.shows_version else "hidden",
            "input": self.input,
            "logs": self.logs,
            "output": self.output,
            "data_removed": self.is_erased,
            "error": self.error,
            "source": "api",
            "status": self.status,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "completed_at": self.completed_at,
            "urls": self._urls(base),
            "metrics": self._metrics(),
        }
        if self.deployment:
            body["deployment"] = self.deployment
        if self.deadline_at:
            body["deadline"] = self.deadline_at
        return body

    def _urls(self, base: str) -> Mapping[str, str]:
        one = f"{base}/v1/predictions/{self.id}"
        urls = {"cancel": f"{one}/cancel", "get": one, "web": f"https://replicate.com/p/{self.id}"}
        if self.version.is_iterator:
            urls["stream"] = f"{base}/streams/{self.id}"
        return urls

    def _metrics(self) -> Mapping[str, float]:
        if self.ended is None:
            return {}
        metrics = {"total_time": max(0.0, self.ended - self.created)}
        if self.started is not None:
            metrics["predict_time"] = max(0.0, self.ended - self.started)
        return metrics
