"""Tasks: every request and every queued call is one."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gpuhub.worker.wire import loads
from gpuhub_beam.emulator.stubs import timestamp

if TYPE_CHECKING:
    from gpuhub.testing.emulator.signals import RealTimer, Signal
    from gpuhub.testing.emulator.timeline import Timer
    from gpuhub_beam.emulator.containers import Container
    from gpuhub_beam.emulator.stubs import Deployment, Stub

__all__ = ["FINAL", "Status", "Task"]

Status = Literal[
    "PENDING", "RUNNING", "RETRY", "COMPLETE", "ERROR", "CANCELLED", "TIMEOUT", "EXPIRED"
]

FINAL: frozenset[Status] = frozenset({"COMPLETE", "ERROR", "CANCELLED", "TIMEOUT", "EXPIRED"})


@dataclass(slots=True, eq=False)
class Task:
    """One task. Changed with the lock held; times are seconds since the epoch.

    Attributes:
        id: External id.
        stub: Whose it is.
        payload: ``{"args": …, "kwargs": …}``.
        created_at: When it was accepted.
        expires_at: When it is given up unless a container took it.
        changed: Fires at each change.
        status: Where it is.
        container: What runs it, or ran it last.
        container_id: Its id, also after it is gone.
        started_at: When it last began to run.
        ended_at: When it ended.
        result: What its runner gave, as it came.
        retries: How often it was queued again.
        is_websocket: It lasts until its websocket is closed; its runner always reports its end.
        has_left: Its client is gone.
        is_cut: It runs too long: the gateway no longer waits for its container.
        hangs: It never ends by itself.
        crashes: Its container dies under it.
        breaks_off: Its container dies after the first part of the answer.
        pid: Process that runs it, where that is known.
        timers: The ends that time sets it.
    """

    id: str
    stub: Stub
    payload: dict[str, Any]
    created_at: float
    expires_at: float
    changed: Signal
    status: Status = "PENDING"
    container: Container | None = None
    container_id: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    result: bytes | None = None
    retries: int = 0
    is_websocket: bool = False
    has_left: bool = False
    is_cut: bool = False
    hangs: bool = False
    crashes: bool = False
    breaks_off: bool = False
    pid: int = 0
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

    def shown(
        self, workspace_id: str, deployment: Deployment | None, stats: dict[str, int]
    ) -> dict[str, Any]:
        """Give the REST API's description."""
        app = self.stub.app
        return {
            "id": self.id,
            "external_id": self.id,
            "status": self.status,
            "failure_reason": "",
            "container_id": self.container_id,
            "started_at": timestamp(self.started_at),
            "ended_at": timestamp(self.ended_at),
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.ended_at or self.started_at or self.created_at),
            "deployment": {
                "id": deployment.id if deployment else None,
                "name": deployment.name if deployment else None,
                "version": deployment.version if deployment else None,
            },
            "outputs": [],
            "stats": stats,
            "result": self.shown_result(),
            "workspace": {"id": workspace_id, "external_id": workspace_id, "name": "emulated"},
            "external_workspace": None,
            "stub": self.stub.shown(),
            "app": {"id": app.id, "external_id": app.id, "name": app.name},
        }

    def shown_result(self) -> Any:
        """Give the result: JSON as Go reads it, anything else in base64."""
        if not self.result:
            return None
        try:
            return loads(self.result)
        except ValueError:
            return {"base64": base64.b64encode(self.result).decode()}
