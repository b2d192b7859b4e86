"""How the emulator of RunPod behaves where RunPod leaves a choice, or tells nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["EmulatorOptions", "Quota"]

WorkerKind = Literal["stub", "sdk"]

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of requests: ``count`` in ``window_s`` seconds, ``at_once`` at the same time."""

    count: int
    window_s: float
    at_once: int | None = None


DOCUMENTED_QUOTAS: Mapping[str, Quota] = {
    "run": Quota(1000, 10, 200),
    "runsync": Quota(2000, 10, 400),
    "status": Quota(2000, 10, 400),
    "stream": Quota(2000, 10, 400),
    "cancel": Quota(100, 10, 20),
    "purge-queue": Quota(2, 10),
}
"""Per endpoint, as documented for one without workers (read 2026-11)."""


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """Settings of the emulator; times in clock seconds.

    Attributes:
        workers: ``stub``: worker processes with a stand-in for the ``runpod`` package, quick to
            start. ``sdk``: processes that run the endpoint's ``args`` with the real package.
        sdk_python: Interpreter that has the ``runpod`` package. Empty: that of
            ``RUNPOD_WORKER_PYTHON``, else of ``.venv-runpod``.
        cold_start_s: From the start of a worker until it takes jobs, real start-up aside.
        retries_after_crash: How often a job is queued again after its worker died under it.
            RunPod counts such jobs as ``retried`` but documents no number; users have seen a job
            repeated until they stopped it (worker-vllm #29). Guess: 0, the job fails.
        run_kept_s: How long the result of ``/run`` is kept.
        runsync_kept_s: How long the result of ``/runsync`` is kept.
        run_bytes: Largest body of ``/run``; beyond it 413 (the number is documented, the status
            is a guess).
        runsync_bytes: Largest body of ``/runsync``.
        chunk_bytes: Largest item of a stream.
        lookup_delay_s: How long a new job is answered with 404. RunPod's own client of version 2
            repeats such questions, so there are such answers; how long, nobody says.
        api_keys: Accepted keys, each with what it may do: ``read``, ``write`` and ``invoke``.
            Empty: any key may do anything.
        quotas: Limits of the data plane by operation, for each endpoint. Empty: none; the
            documented ones are :data:`DOCUMENTED_QUOTAS`.
        control_quota: Limit of the control plane for each key. ``None``: none.
        worker_quota: Most workers that all endpoints together may ask for. ``None``: no limit.
        crashes_until_unhealthy: Exits without a job done after which a worker is given up.
        idle_cuts: Seconds without a request, and the most workers an endpoint is left with then.
        hold_s: Real seconds a question may be held back while code really runs, so that a virtual
            clock does not run away from it.
        boot_s: The same, while a worker process really starts.
    """

    workers: WorkerKind = "stub"
    sdk_python: str = ""
    cold_start_s: float = 3.0
    retries_after_crash: int = 0
    run_kept_s: float = 30 * 60
    runsync_kept_s: float = 60
    run_bytes: int = 10 * MB
    runsync_bytes: int = 20 * MB
    chunk_bytes: int = MB
    lookup_delay_s: float = 0.0
    api_keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    control_quota: Quota | None = None
    worker_quota: int | None = None
    crashes_until_unhealthy: int = 3
    idle_cuts: tuple[tuple[float, int], ...] = ((3 * 86_400, 2), (7 * 86_400, 0))
    hold_s: float = 0.05
    boot_s: float = 25.0
