"""What a provider can or cannot do, declared by its adapter."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Feature(StrEnum):
    """What a provider can or cannot do. Every adapter declares every one of them.

    The value of a feature about a setting is the path of the spec field.
    """

    GPU = "gpu"
    GPU_COUNT = "gpu.count"
    GPU_FALLBACKS = "gpu.fallbacks"
    GPU_QUERY = "gpu.query"
    CPU_ONLY = "gpu.none"
    CPU = "cpu"
    MEMORY = "memory"
    DISK = "disk"
    IMAGE_REFERENCE = "image.reference"
    IMAGE_PYTHON = "image.python"
    IMAGE_PIP = "image.pip"
    IMAGE_APT = "image.apt"
    IMAGE_COMMANDS = "image.commands"
    IMAGE_REGISTRY_SECRET = "image.registry_secret"  # noqa: S105
    SCALE_TO_ZERO = "scaling.mode"
    MIN_WORKERS = "scaling.min_workers"
    MAX_WORKERS = "scaling.max_workers"
    BUFFER_WORKERS = "scaling.buffer_workers"
    IDLE_TIMEOUT = "scaling.idle_timeout"
    CONCURRENCY = "scaling.concurrency"
    TARGET_IN_FLIGHT = "scaling.target_in_flight"
    SCALE_UP_DELAY = "scaling.scale_up_delay"
    SCALE_WINDOW = "scaling.scale_window"
    TIMEOUT = "timeout"
    STARTUP_TIMEOUT = "startup_timeout"
    RETRIES = "retries"
    BATCHING = "batching"
    ENV = "env"
    SECRETS = "secrets"
    SECRETS_LOCAL = "secrets.local"
    VOLUMES = "volumes"
    BUCKETS = "volumes.bucket"
    SCHEDULE = "schedule"
    REGIONS = "regions"
    CLOUD = "cloud"
    SNAPSHOT = "snapshot"
    MIN_CUDA = "min_cuda"
    PUBLIC = "public"
    KIND_CLASS = "kind.class"
    KIND_GENERATOR = "kind.generator"
    KIND_ASYNC = "kind.async"
    KIND_WEB = "kind.web"
    INVOKE = "invoke"
    SPAWN = "spawn"
    STREAM = "stream"
    CANCEL_QUEUED = "cancel.queued"
    CANCEL_RUNNING = "cancel.running"
    IDEMPOTENCY_KEY = "idempotency-key"
    WEBHOOK = "webhook"
    RESULT_KEPT = "result-kept"
    STATUS = "status"
    SCALE_LIVE = "scale-live"
    LOGS = "logs"
    LOGS_FOLLOW = "logs.follow"
    VERSIONS = "versions"
    ROLLBACK = "rollback"
    WARM = "warm"
    DELETE = "delete"
    CONNECT = "connect"


class Level(StrEnum):
    """How far a feature is supported."""

    NATIVE = "native"
    EMULATED = "emulated"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Support:
    """Declared support of one feature.

    Attributes:
        level: Native, emulated or unsupported.
        how: How it is emulated, or why it is not supported. Empty only for native.
    """

    level: Level
    how: str = ""

    def __post_init__(self) -> None:
        if self.level is not Level.NATIVE and not self.how:
            msg = f"support {self.level.value!r} needs a reason"
            raise ValueError(msg)

    @classmethod
    def native(cls, how: str = "") -> Self:
        """The provider does it itself."""
        return cls(Level.NATIVE, how)

    @classmethod
    def emulated(cls, how: str) -> Self:
        """The adapter or the worker does it; say how."""
        return cls(Level.EMULATED, how)

    @classmethod
    def unsupported(cls, reason: str) -> Self:
        """It cannot be done; say why."""
        return cls(Level.UNSUPPORTED, reason)
