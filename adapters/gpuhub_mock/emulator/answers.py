"""What the mock provider says about its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpuhub.adapter import Rollout
from gpuhub_mock.emulator.bodies import Workers

__all__ = ["DeploymentAnswer", "StatusAnswer", "VersionAnswer"]


@dataclass(frozen=True, slots=True)
class DeploymentAnswer:
    """A deployment.

    Attributes:
        name: Its name.
        version: The version meant.
        fingerprint: The label its maker gave that version.
        url: HTTP address of a web application.
    """

    name: str
    version: str
    fingerprint: str = ""
    url: str | None = None


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """What goes on in a deployment.

    Attributes:
        rollout: Of the version asked about.
        version: The version that serves; empty for none.
        workers: State -> number of workers.
        queue: Calls waiting.
        running: Calls running.
        limits: Limits in force.
        log_tail: Last lines of a failed build or start.
    """

    rollout: Rollout
    version: str
    workers: Mapping[str, int]
    queue: int
    running: int
    limits: Workers
    log_tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionAnswer:
    """One version.

    Attributes:
        id: Its number.
        created_at: Seconds since the epoch.
        is_current: Whether it serves.
        fingerprint: The label its maker gave it.
        rollout: Whether it can serve.
    """

    id: str
    created_at: float
    is_current: bool
    fingerprint: str
    rollout: Rollout = field(default=Rollout.READY)
