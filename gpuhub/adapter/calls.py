"""A call as the seam sees it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, unquote

from typing_extensions import override

from gpuhub.errors import ConfigError, GpuHubError


@dataclass(frozen=True, slots=True)
class CallRef:
    """A call at a provider. Prints and parses as ``provider://deployment/call-id``.

    Attributes:
        provider: Adapter name.
        deployment: The deployment's address; may contain slashes.
        id: The provider's own call id.
    """

    provider: str
    deployment: str
    id: str

    @override
    def __str__(self) -> str:
        """Give the text form; slashes inside the call id are percent-encoded."""
        return f"{self.provider}://{quote(self.deployment, safe='/:@')}/{quote(self.id, safe=':')}"

    @classmethod
    def parse(cls, text: str) -> CallRef:
        """Read the text form back.

        Raises:
            ConfigError: It is not ``provider://deployment/call-id``.
        """
        provider, mark, rest = text.partition("://")
        deployment, slash, call_id = rest.rpartition("/")
        if not (mark and slash and provider and deployment and call_id):
            msg = f"a call id looks like provider://deployment/call-id (got {text!r})"
            raise ConfigError(msg, next_step="pass the id that Call.id or `gpuhub invoke` printed")
        return cls(provider, unquote(deployment), unquote(call_id))


class Phase(StrEnum):
    """Where a call is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        """Whether the call has ended."""
        return self not in (Phase.QUEUED, Phase.RUNNING)


@dataclass(frozen=True, slots=True)
class CallState:
    """What a provider says about a call.

    Attributes:
        ref: Which call.
        phase: Where it is.
        output: The worker's JSON envelope (or bare JSON) once it succeeded.
        error: What went wrong, for a failed call whose failure is the platform's.
        detail: The provider's own words about the phase.
        poll_after: Seconds until the next poll makes sense; ``None`` leaves it to the engine.
        worker: Id of the worker.
        queued_s: Seconds in the queue, cold start included.
        run_s: Seconds of running.
    """

    ref: CallRef
    phase: Phase
    output: bytes | None = None
    error: GpuHubError | None = None
    detail: str = ""
    poll_after: float | None = None
    worker: str | None = None
    queued_s: float | None = None
    run_s: float | None = None


class CancelReceipt(StrEnum):
    """What a cancel achieved, strongest first."""

    CONFIRMED_TERMINAL = "confirmed_terminal"
    """The provider reports the call as ended."""
    PROVIDER_ACK = "provider_ack"
    """The provider accepted the cancel."""
    CHANNEL_CLOSED = "channel_closed"
    """The connection was closed; the provider may or may not stop the call."""
    NO_EVIDENCE = "no_evidence"
    """Nothing is known."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How to submit one call.

    Attributes:
        budget_s: Seconds the caller gives the whole call, queue included; ``None``: no limit.
        wait_s: Longest the submit may wait for the result; 0 (a spawn) returns at once.
        idempotency_key: Unique per call; sent where the provider has such a key.
        webhook: URL the provider calls at the end, where it can.
    """

    budget_s: float | None = None
    wait_s: float = 0.0
    idempotency_key: str = ""
    webhook: str | None = None
