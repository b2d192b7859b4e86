"""A deployment as the seam sees it: identity, status, versions, log lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRef:
    """A deployment at a provider. JSON-able, kept in the journal.

    Attributes:
        provider: Adapter name.
        name: gpuhub's name of it, ``<app>-<function>``; the address for connected ones.
        address: What :class:`CallRef` and ``Endpoint.connect`` use after ``provider://``.
        version: Current version, in the provider's own numbering.
        revision: Counts changes at the provider, of limits too, where it does: another one than the
            journal's makes a deploy look again.
        fingerprint: Of the plan that made it. Empty: the provider keeps none, and the journal's
            stands in; anything else that differs from the plan's makes a deploy send it again.
        url: HTTP address, where there is one.
        scheme: URL scheme it was connected with; empty for the provider's first.
        made_by_gpuhub: False for connected endpoints: bare JSON instead of the envelope.
        data: The adapter's own identifiers.
    """

    provider: str
    name: str
    address: str
    version: str = ""
    revision: str = ""
    fingerprint: str = ""
    url: str | None = None
    scheme: str = ""
    made_by_gpuhub: bool = True
    data: Mapping[str, str] = field(default_factory=dict)


class Rollout(StrEnum):
    """Where a deployment's newest version is."""

    IN_PROGRESS = "in-progress"
    READY = "ready"
    """Routable: a call will be taken, though it may start cold."""
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """Workers by state."""

    starting: int = 0
    idle: int = 0
    running: int = 0
    throttled: int = 0
    unhealthy: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.starting + self.idle + self.running + self.throttled + self.unhealthy


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """What a provider says about a deployment.

    Attributes:
        rollout: Where the newest version is.
        version: The version that serves.
        workers: By state; ``None`` when the provider does not tell.
        queue_depth: Calls waiting; ``None`` when the provider does not tell.
        in_flight: Calls running; ``None`` when the provider does not tell.
        scaling: Limits in force, as far as known: ``{"min_workers": 0, …}``.
        detail: The provider's own words, or a diagnosis with the next step.
        log_tail: Last lines of a failed build or start.
    """

    rollout: Rollout
    version: str = ""
    workers: WorkerCounts | None = None
    queue_depth: int | None = None
    in_flight: int | None = None
    scaling: Mapping[str, float] = field(default_factory=dict)
    detail: str = ""
    log_tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a worker's log.

    Attributes:
        time: Seconds since the epoch, UTC.
        message: Text without the line end.
        worker: Id of the worker; empty when unknown.
        source: ``"stdout"``, ``"stderr"``, ``"system"`` or ``"build"``.
    """

    time: float
    message: str
    worker: str = ""
    source: str = "stdout"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a deployment.

    Attributes:
        id: The provider's own number or id.
        created_at: Seconds since the epoch, UTC; ``None`` when unknown.
        current: Whether it serves.
        fingerprint: Of the plan that made it, as far as known.
        detail: The provider's own words.
    """

    id: str
    created_at: float | None = None
    current: bool = False
    fingerprint: str = ""
    detail: str = ""
