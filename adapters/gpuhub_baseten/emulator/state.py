"""Models, environments, deployments, replicas and requests: what there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gpuhub.testing.emulator.workers import WorkerBase
from gpuhub_baseten.emulator.problems import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from gpuhub.testing.emulator.timeline import Timer
    from gpuhub_baseten.emulator.catalog import InstanceType
    from gpuhub_baseten.emulator.config import Config
    from gpuhub_baseten.emulator.logs import DeploymentLog, ReplicaOutput
    from gpuhub_baseten.emulator.machines import Machine

__all__ = [
    "AUTOSCALING",
    "PROMOTION",
    "Deployment",
    "Environment",
    "Model",
    "Phase",
    "Replica",
    "Startup",
    "Visit",
]

Phase = Literal[
    "BUILDING",
    "DEPLOYING",
    "LIVE",
    "BUILD_FAILED",
    "BUILD_STOPPED",
    "DEPLOY_FAILED",
    "FAILED",
    "INACTIVE",
]

AUTOSCALING: dict[str, Any] = {
    "min_replica": 0,
    "max_replica": 1,
    "autoscaling_window": 60,
    "scale_down_delay": 900,
    "concurrency_target": 1,
    "target_utilization_percentage": 70,
    "target_in_flight_tokens": None,
    "max_scale_down_rate": None,
}
"""Defaults as documented."""
PROMOTION: dict[str, Any] = {
    "redeploy_on_promotion": False,
    "rolling_deploy": False,
    "promotion_cleanup_strategy": "SCALE_TO_ZERO",
    "rolling_deploy_config": None,
    "ramp_up_while_promoting": False,
    "ramp_up_duration_seconds": 600,
}
_FAILED: tuple[Phase, ...] = ("BUILD_FAILED", "BUILD_STOPPED", "DEPLOY_FAILED", "FAILED")


@dataclass(slots=True, eq=False)
class Visit:
    """One request on its way to a replica and back.

    Attributes:
        id: ``X-Baseten-Request-Id``.
        number: Order of arrival.
        priority: Lower is sooner.
        replica: Who has it.
        problem: Why it cannot be answered.
        answer: What is answered without the worker's doing.
        hangs: It never ends by itself.
        crashes: Its replica dies under it.
        is_real: Whether the worker's code really runs for it.
        timer: The end of one that hangs.
    """

    id: str
    number: int = 0
    priority: int = 0
    replica: Replica | None = None
    problem: Problem | None = None
    answer: bytes | None = None
    hangs: bool = False
    crashes: bool = False
    is_real: bool = False
    timer: Timer | None = None

    @property
    def is_settled(self) -> bool:
        """Whether it need not wait for a replica any more."""
        return self.replica is not None or self.is_over

    @property
    def is_over(self) -> bool:
        """Whether its answer is known without the worker."""
        return self.problem is not None or self.answer is not None


@dataclass(slots=True, eq=False)
class Replica(WorkerBase):
    """One replica.

    Attributes:
        id: Five letters.
        started_at: When its container started.
        output: What it prints.
        machine: What runs its code; ``None`` before it has a place.
        is_waiting: It waits for a machine.
        visits: Requests it has, by id.
    """

    id: str
    started_at: float
    output: ReplicaOutput
    machine: Machine | None = None
    is_waiting: bool = False
    visits: dict[str, Visit] = field(default_factory=dict)


@dataclass(slots=True)
class Startup:
    """One start of a replica, for the record; times are seconds since the epoch.

    Attributes:
        replica: Its id.
        started_at: When.
        ready_at: When it could answer; ``None``: it never could.
    """

    replica: str
    started_at: float
    ready_at: float | None = None


@dataclass(slots=True, eq=False)
class Environment:
    """One environment of a model.

    Attributes:
        name: ``production`` or another.
        created_at: ISO 8601.
        autoscaling: In force for whatever it points at.
        promotion: How promotions go.
        backpressure: What happens to requests when all replicas are full.
        current: What it points at.
        candidate: What is being promoted to it.
        instance: Kind of machine; ``None`` until the first promotion.
    """

    name: str
    created_at: str
    autoscaling: dict[str, Any] = field(default_factory=lambda: dict(AUTOSCALING))
    promotion: dict[str, Any] = field(default_factory=lambda: dict(PROMOTION))
    backpressure: str | None = None
    current: Deployment | None = None
    candidate: Deployment | None = None
    instance: InstanceType | None = None


@dataclass(slots=True, eq=False)
class Deployment:
    """One deployment. Changed with the lock held.

    Attributes:
        id: Letters and digits.
        model_id: Whose it is.
        name: Given, or counted.
        created_at: ISO 8601.
        config: What was pushed.
        raw_config: Text of it.
        archive: The uploaded archive.
        image: Folder with the unpacked archive, once it is built.
        instance: Kind of machine.
        autoscaling: Limits in force.
        log: What was said and printed.
        backpressure: What happens to requests when all replicas are full.
        labels: The user's.
        is_development: It is the one mutable development deployment.
        environment: What points at it, or will when it has come up.
        keeps: Settings the environment takes over with the promotion.
        scales_down_previous: Whether the promotion ends what served before.
        phase: Where it is.
        has_served: It answered once.
        crashes: Ends of replicas since one could answer.
        resting_until: No replica is started before, after crashes.
        is_broken: Its build dies.
        replicas: By id.
        queue: Requests that wait, first one first.
        over_since: Since when there is more to do than its replicas should have.
        startups: Starts of its replicas.
        timer: The next step of its rollout.
        predictions: How many requests it answered.
    """

    id: str
    model_id: str
    name: str
    created_at: str
    config: Config
    raw_config: str | None
    archive: Path | None
    instance: InstanceType
    autoscaling: dict[str, Any]
    log: DeploymentLog
    backpressure: str | None = None
    labels: dict[str, Any] | None = None
    is_development: bool = False
    image: Path | None = None
    environment: Environment | None = None
    keeps: dict[str, Any] = field(default_factory=dict)
    scales_down_previous: bool = True
    phase: Phase = "BUILDING"
    has_served: bool = False
    crashes: int = 0
    resting_until: float = 0.0
    is_broken: bool = False
    replicas: dict[str, Replica] = field(default_factory=dict)
    queue: list[Visit] = field(default_factory=list)
    over_since: float | None = None
    startups: list[Startup] = field(default_factory=list)
    timer: Timer | None = None
    predictions: int = 0

    @property
    def has_failed(self) -> bool:
        """Whether its rollout came to nothing."""
        return self.phase in _FAILED

    @property
    def is_current(self) -> bool:
        """Whether an environment points at it."""
        return self.environment is not None and self.environment.current is self

    @property
    def in_flight(self) -> int:
        """Requests that wait or run."""
        return len(self.queue) + sum(len(each.visits) for each in self.replicas.values())

    def ready(self, now: float) -> list[Replica]:
        """Give the replicas that answer."""
        return [each for each in self.replicas.values() if each.is_ready(now)]

    def status(self, now: float) -> str:
        """Give its state in Baseten's words."""
        if self.phase != "LIVE":
            return self.phase
        if self.ready(now):
            return "ACTIVE"
        if not self.has_served:
            return "LOADING_MODEL"
        if self.crashes:
            return "UNHEALTHY"
        return "WAKING_UP" if self.replicas else "SCALED_TO_ZERO"


@dataclass(slots=True, eq=False)
class Model:
    """One model.

    Attributes:
        id: Letters and digits.
        name: Unique.
        created_at: ISO 8601.
        deployments: By id, oldest first.
        environments: By name.
        pushes: How many deployments it ever had.
        allows_download: Whether archives may be downloaded.
    """

    id: str
    name: str
    created_at: str
    deployments: dict[str, Deployment] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)
    pushes: int = 0
    allows_download: bool = True

    @property
    def production(self) -> Deployment | None:
        """What the environment ``production`` points at."""
        return self.environments["production"].current

    @property
    def development(self) -> Deployment | None:
        """The development deployment."""
        found = [each for each in self.deployments.values() if each.is_development]
        return found[0] if found else None
