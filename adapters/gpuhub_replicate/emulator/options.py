"""How the emulator of Replicate behaves where Replicate leaves a choice, or tells nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["DOCUMENTED_QUOTAS", "EmulatorOptions", "Quota", "QuotaKind"]

WorkerKind = Literal["stub", "coglet"]
Login = Literal["basic", "bearer", "none"]
QuotaKind = Literal["create", "other"]

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of requests: ``count`` in ``window_s`` seconds."""

    count: int
    window_s: float


DOCUMENTED_QUOTAS: Mapping[QuotaKind, Quota] = {
    "create": Quota(600, 60),
    "other": Quota(3000, 60),
}
"""Per token: creating predictions, and everything else (read 2026-11)."""


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """Settings of the emulator; times in clock seconds.

    Attributes:
        workers: ``stub``: worker processes with a stand-in for the ``cog`` package, quick to
            start. ``coglet``: Cog's own server runs what was pushed.
        coglet_python: Interpreter that has the ``cog`` package. Empty: that of
            ``REPLICATE_WORKER_PYTHON``, else of ``.venv-replicate``.
        username: The account.
        tokens: Accepted API tokens. Empty: any.
        registry_tokens: Passwords accepted at the registry. Empty: any, or ``tokens``.
        registry_login: How the registry asks for a login. Which way r8.im does is not known.
        registry_upstream: Base address of a real registry that keeps what is pushed. Empty: the
            emulator keeps it in memory.
        cold_start_s: From the start of a worker until it takes predictions, real start-up aside.
        idle_s: How long an idle worker above ``min_instances`` stays. Replicate says «a few
            minutes»; the number is a guess.
        scale_up_s: How long a prediction waits before a further worker is started for it. The
            first worker starts at once. Guess, from reports of an autoscaler that looks each
            second.
        direct_max: Most workers for predictions of a private version without deployment (guess).
        kept_s: How long input, output and logs of predictions made by API are kept.
        file_kept_s: How long an uploaded file is kept.
        run_limit_s: How long a prediction may run.
        queue_limit_s: How long one may wait.
        delete_after_s: How long a deployment must have been off and unused to be deleted.
        longest_wait_s: After which a ``Prefer: wait`` is answered, however long it asks for.
        cancel_after_min_s: Shortest ``Cancel-After`` (a guess: no minimum is published).
        input_bytes: Largest body of a request that creates a prediction (a guess).
        file_bytes: Largest file.
        stream_idle_s: After which a stream without events is closed.
        webhook_every_s: Least distance of two ``output`` or ``logs`` webhooks of a prediction.
        webhook_secret: Signs webhooks.
        loopback_webhooks: Whether webhooks to ``http://127.0.0.1`` are allowed; Replicate takes
            HTTPS only.
        strict_input: Whether names the schema does not have are refused. Whether the API does is
            not known; Cog's server drops them.
        quotas: Limits of requests; see :data:`DOCUMENTED_QUOTAS`. Empty: none.
        hold_s: Real seconds a question may be held back while code really runs, so that a virtual
            clock does not run away from it.
        boot_s: The same, while a worker process really starts.
    """

    workers: WorkerKind = "stub"
    coglet_python: str = ""
    username: str = "gpuhub-tester"
    tokens: frozenset[str] = frozenset()
    registry_tokens: frozenset[str] = frozenset()
    registry_login: Login = "basic"
    registry_upstream: str = ""
    cold_start_s: float = 3.0
    idle_s: float = 180.0
    scale_up_s: float = 1.0
    direct_max: int = 5
    kept_s: float = 3600.0
    file_kept_s: float = 86_400.0
    run_limit_s: float = 1800.0
    queue_limit_s: float = 86_400.0
    delete_after_s: float = 900.0
    longest_wait_s: float = 60.0
    cancel_after_min_s: float = 5.0
    input_bytes: int = 100 * MB
    file_bytes: int = 100 * MB
    stream_idle_s: float = 30.0
    webhook_every_s: float = 0.5
    webhook_secret: str = "whsec_Z3B1aHViIGVtdWxhdG9yIG9mIFJlcGxpY2F0ZQ=="  # noqa: S105 - of nobody
    loopback_webhooks: bool = True
    strict_input: bool = False
    quotas: Mapping[QuotaKind, Quota] | None = None
    hold_s: float = 0.05
    boot_s: float = 15.0
