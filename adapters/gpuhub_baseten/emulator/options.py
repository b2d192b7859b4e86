"""How the emulator of Baseten behaves where Baseten leaves a choice, or tells nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["EmulatorOptions"]

WorkerKind = Literal["stub", "truss"]

MB = 1_000_000
KIB = 1024


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """Settings of the emulator; times in clock seconds.

    Attributes:
        workers: ``stub``: forked processes that load the pushed class and call it as Truss does,
            quick to start. ``truss``: Truss's own inference server, copied out of its package.
        truss_python: Interpreter that has the ``truss`` package and what its server imports.
            Empty: that of ``BASETEN_WORKER_PYTHON``, else of ``.venv-baseten``.
        boots_after_push: Whether a push boots a replica though none must stay. Baseten does:
            its own client waits for ``ACTIVE`` after every push.
        build_s: How long an image is built.
        deploy_s: From the built image until the first replica boots.
        cold_start_s: From the start of a replica until it answers, real start-up aside.
        crashes_until_failed: Ends of a replica that never loaded after which a deployment is
            ``FAILED``, or ``UNHEALTHY`` when it has served. Guess.
        parked_s: How long a request is held for a replica and its answer.
        predict_bytes: Largest body of a synchronous request. The documents say 100 MB.
        async_bytes: Largest body of an asynchronous request.
        async_run_s: Longest run of an asynchronous request.
        async_kept_s: How long an ended asynchronous request can be asked for.
        webhook_tries: How often a webhook is sent until it answers with 2xx. Guess.
        webhook_secrets: Active secrets that sign webhooks.
        development_parks: Whether a request to a development deployment at zero waits; if not it
            is answered with 404, as users have seen.
        api_keys: Accepted keys, each with what it may do: ``manage`` and ``invoke``. Empty: any
            key may do anything.
        request_limit: Most predictions within a second; beyond them 429. ``None``: no limit.
        replica_quota: Most replicas one deployment may have. ``None``: no limit. Guess.
        boot_s: Real seconds a question may be held back while a replica really boots, so that a
            virtual clock does not run away from it.
    """

    workers: WorkerKind = "stub"
    truss_python: str = ""
    boots_after_push: bool = True
    build_s: float = 2.0
    deploy_s: float = 1.0
    cold_start_s: float = 3.0
    crashes_until_failed: int = 3
    parked_s: float = 1200.0
    predict_bytes: int = 100 * MB
    async_bytes: int = 256 * KIB
    async_run_s: float = 3600.0
    async_kept_s: float = 3600.0
    webhook_tries: int = 3
    webhook_secrets: tuple[str, ...] = ("whsec_emulated",)
    development_parks: bool = True
    api_keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    request_limit: int | None = None
    replica_quota: int | None = None
    boot_s: float = 30.0
