"""Requests without an answer: exceptions of the HTTP client to an error of gpuhub.

What matters is whether the provider may have acted: only a request that certainly was not sent is
``accepted=False``.
"""

from __future__ import annotations

import httpx

from gpuhub._http.outgoing import Outgoing
from gpuhub.errors import MalformedResponse, ProviderError, ProviderUnavailable, SpecError

__all__ = ["CONNECTING", "SENDING", "WAITING", "Phase", "failure_of", "phase_of", "unsendable"]

Phase = tuple[str, bool | None, str]
"""Words for people, ``accepted``, and the time limit that governs it."""

CONNECTING: Phase = ("connecting", False, "connect")
POOL: Phase = ("waiting for a free connection", False, "pool")
SENDING: Phase = ("sending the request", None, "write")
WAITING: Phase = ("waiting for the answer", None, "read")

_PHASES: tuple[tuple[type[Exception], Phase], ...] = (
    (httpx.PoolTimeout, POOL),
    (httpx.ConnectTimeout, CONNECTING),
    (httpx.ConnectError, CONNECTING),
    (httpx.ProxyError, CONNECTING),
    (httpx.UnsupportedProtocol, CONNECTING),
    (httpx.WriteTimeout, SENDING),
    (httpx.WriteError, SENDING),
    (httpx.LocalProtocolError, SENDING),
)


def phase_of(error: Exception) -> Phase:
    """In which phase an exception of httpx's own transports happened."""
    for kind, phase in _PHASES:
        if isinstance(error, kind):
            return phase
    return WAITING


def failure_of(
    error: Exception, outgoing: Outgoing, phase: Phase, received: int | None = None
) -> ProviderError:
    """The error to raise. It does not refer to the exception, whose request holds credentials.

    Args:
        error: What the HTTP client raised.
        outgoing: What was sent.
        phase: How far it got.
        received: Bytes of the answer's body that arrived; ``None`` when not even its head did.
    """
    info = outgoing.origins.info
    if isinstance(error, httpx.DecodingError):
        return MalformedResponse(
            f"{info.title}: the answer to {outgoing.label} cannot be decompressed",
            next_step="try again; report it if it stays so",
            provider=info.name,
            accepted=None,
        )
    words, accepted, limit = phase
    if received is None:
        happened = f"failed while {words} ({_reason(error, outgoing, limit)})"
    else:
        happened = f"stream was cut after {received} bytes ({_reason(error, outgoing, limit)})"
        accepted = None
    sent = "it was not sent" if accepted is False else "it may have had an effect"
    return ProviderUnavailable(
        f"{info.title}: {outgoing.label}: {happened}; {sent}",
        next_step=_next_step(outgoing, accepted),
        provider=info.name,
        accepted=accepted,
    )


def _reason(error: Exception, outgoing: Outgoing, limit: str) -> str:
    if isinstance(error, httpx.LocalProtocolError):
        return "it is no valid HTTP"  # the text quotes header values, credentials among them
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        if outgoing.timeouts.used_up:
            return "the time given is used up"
        return f"timed out after {outgoing.timeouts[limit]:g} s"
    return outgoing.told(str(error)) or type(error).__name__


def _next_step(outgoing: Outgoing, accepted: bool | None) -> str:
    info, name = outgoing.origins.info, outgoing.request.origin
    if accepted is None:
        return f"look at {info.title} before you send it again"
    setting = f"{outgoing.origins.named(name).setting} in [providers.{info.name}]" if name else "it"
    return f"check the network, and the address: {setting}"


def unsendable(outgoing: Outgoing, error: Exception) -> SpecError:
    """The error for an address that the HTTP client refuses."""
    return SpecError(
        f"{outgoing.label} cannot be sent: {outgoing.told(str(error))}",
        next_step="check names and ids for spaces and control characters",
        provider=outgoing.origins.info.name,
    )
