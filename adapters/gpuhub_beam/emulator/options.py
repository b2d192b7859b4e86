"""How the emulator of Beam behaves where a workspace or a cluster has a choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["EmulatorOptions"]

WorkerKind = Literal["stub", "beta9"]


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """Settings of the emulator; times in clock seconds unless said otherwise.

    Defaults are those of the gateway's source (beta9 at 0b79dfe, read 2026-11), where it has one.

    Attributes:
        workers: ``stub``: quick worker processes that do what the runner does. ``beta9``: the real
            runner, ``python -m beta9.runner…``, which talks gRPC to the emulator.
        beta9_python: Interpreter that has the ``beta9`` package. Empty: that of
            ``BEAM_WORKER_PYTHON``, else of ``.venv-beam``.
        serves_grpc: Whether there is a gRPC face, for the real SDK; real workers bring one.
        cold_start_s: From the order of a container until it may answer, real start-up aside.
        tokens: Accepted tokens. Empty: any.
        gpus: GPU types that some pool of the cluster has; with others a stub's capacity is
            ``none``. ``None``: all.
        low_gpus: GPU types of which there are few.
        completes_over_http: Whether an upload in parts can be completed over HTTP. A guess: the
            method is newer than the published gateway, whose HTTP mount names none.
        has_storage: Whether the workspace has object storage: without, code goes by gRPC only.
        allows_several_gpus: Whether the workspace may have more than one GPU in a container.
        most_gpus: Most GPUs of a container.
        most_millicores: Most CPU of a container, in thousandths of a core.
        most_memory_mb: Most memory of a container, MiB.
        most_replicas: Most containers of a stub, whatever its autoscaler says.
        startup_s: How long a request waits for a container, before 504.
        name_cache_s: How long the gateway remembers which stub a URL means.
        heartbeat_s: After which silence a running task counts as lost.
        monitor_s: How often the gateway looks for lost and expired tasks.
        failures_until_given_up: Containers that fail before no more are started.
        failure_cooldown_s: How long failed containers count.
        hold_s: Real seconds a question may be held back while code really runs, so that a virtual
            clock does not run away from it.
        boot_s: The same, while a worker process really starts.
    """

    workers: WorkerKind = "stub"
    beta9_python: str = ""
    serves_grpc: bool = False
    cold_start_s: float = 3.0
    tokens: frozenset[str] = frozenset()
    gpus: frozenset[str] | None = None
    low_gpus: frozenset[str] = frozenset()
    completes_over_http: bool = True
    has_storage: bool = True
    allows_several_gpus: bool = True
    most_gpus: int = 2
    most_millicores: int = 128_000
    most_memory_mb: int = 32_768
    most_replicas: int = 10
    startup_s: float = 930.0
    name_cache_s: float = 300.0
    heartbeat_s: float = 60.0
    monitor_s: float = 5.0
    failures_until_given_up: int = 3
    failure_cooldown_s: float = 60.0
    hold_s: float = 0.25
    boot_s: float = 20.0
