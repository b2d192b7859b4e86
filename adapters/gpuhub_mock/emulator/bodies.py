"""What the mock provider takes: strict models of its requests."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gpuhub.worker.target import Target

__all__ = [
    "Batching",
    "Calls",
    "Code",
    "DeploymentBody",
    "Gpu",
    "Hardware",
    "Mount",
    "SecretEntry",
    "Simulation",
    "Timer",
    "Workers",
]


class Body(BaseModel):
    """Frozen, and strict about names: what the mock does not know it refuses."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Code(Body):
    """What runs: the digest of an uploaded bundle and the object in it."""

    bundle: str
    target: dict[str, Any]

    def read_target(self) -> Target:
        """The object, typed."""
        return Target.from_dict(self.target)


class Gpu(Body):
    """One acceptable GPU."""

    type: str
    count: int = 1


class Hardware(Body):
    """What a worker has: recorded and priced, not enforced."""

    gpu: tuple[Gpu, ...] = ()
    cpu_cores: float | None = None
    memory_mib: int | None = None
    disk_gib: int | None = None
    min_cuda: str | None = None


class ContainerImage(Body):
    """What a worker runs in: recorded, not built."""

    reference: str | None = None
    python: str | None = None
    pip: tuple[str, ...] = ()
    apt: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    registry_secret: str | None = None


class Workers(Body):
    """Limits of the autoscaler; times in seconds."""

    mode: Literal["flex", "active"] = "flex"
    min: int = 0
    max: int = 3
    buffer: int = 0
    idle_timeout_s: float = 60.0
    concurrency: int = 1
    target_in_flight: int | None = None
    scale_up_delay_s: float | None = None
    scale_window_s: float | None = None


class Batching(Body):
    """Calls gathered into one."""

    max_size: int
    wait_s: float


class Calls(Body):
    """How one call runs."""

    timeout_s: float = 300.0
    retries: int = 0
    batching: Batching | None = None


class SecretEntry(Body):
    """A secret by name; ``value`` where the client sends it along."""

    name: str
    env: str
    value: str | None = Field(default=None, repr=False)


class Mount(Body):
    """A folder that stands for a volume or bucket."""

    path: str
    kind: Literal["volume", "bucket"]
    source: str
    read_only: bool = False
    size_gb: int | None = None
    secret: str | None = None
    endpoint_url: str | None = None


class Timer(Body):
    """When the function runs by itself."""

    cron: str | None = None
    every_s: float | None = None


class Placement(Body):
    """Where workers may run: recorded only."""

    regions: tuple[str, ...] = ()
    cloud: str | None = None


class Simulation(Body):
    """How the mock behaves for this deployment; ``None`` takes its settings."""

    cold_start_s: float | None = None
    build_s: float = 0.0


class DeploymentBody(Body):
    """``PUT /v1/deployments/{name}``."""

    name: str
    fingerprint: str = ""
    code: Code
    hardware: Hardware = Hardware()
    image: ContainerImage = ContainerImage()
    workers: Workers = Workers()
    calls: Calls = Calls()
    startup_timeout_s: float | None = None
    env: dict[str, str] = Field(default_factory=dict)
    secrets: tuple[SecretEntry, ...] = ()
    mounts: tuple[Mount, ...] = ()
    schedule: Timer | None = None
    placement: Placement = Placement()
    snapshot: Literal["off", "cpu", "gpu"] = "off"
    public: bool = False
    simulation: Simulation = Simulation()
