"""The mock provider's own errors, as they would come over the wire."""

from __future__ import annotations

from gpuhub.testing.emulator.faults import Fault, FaultKind

__all__ = ["AFTER", "BEFORE", "Refusal", "refusal_of"]


class Refusal(Exception):  # noqa: N818 - it is an answer
    """An answer that is not what was asked for.

    Attributes:
        status: HTTP status; 0 where the connection broke and there was none.
        code: The mock's error code.
        message: For people.
        retry_after: Seconds to wait before the next try, where the mock says so.
    """

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


_ANSWERS: dict[FaultKind, tuple[int, str, str]] = {
    "rate_limit": (429, "rate_limited", "too many requests"),
    "capacity": (503, "no_capacity", "no GPU of that kind is free now"),
    "unauthorized": (401, "unauthorized", "the credential was refused"),
    "server_error": (500, "internal", "the mock provider failed, as it was told to"),
    "lost_response": (0, "connection_lost", "the connection broke before the answer came"),
    "malformed": (200, "malformed", "the answer is not JSON: it starts with '<html>'"),
    "timeout": (504, "gateway_timeout", "the gateway gave up waiting"),
    "crash": (500, "crashed", "the worker died"),
}
BEFORE: frozenset[FaultKind] = frozenset(
    {"rate_limit", "capacity", "unauthorized", "server_error", "timeout", "crash"}
)
"""Faults of a request that then has no effect."""
AFTER: frozenset[FaultKind] = frozenset({"lost_response", "malformed"})
"""Faults of the answer: the request took effect."""


def refusal_of(fault: Fault) -> Refusal:
    """Give the answer that plays a fault."""
    status, code, message = _ANSWERS[fault.kind]
    waits = fault.kind in ("rate_limit", "capacity")
    return Refusal(
        status if fault.status is None else fault.status,
        fault.code or code,
        fault.message or message,
        retry_after=(fault.delay_s or None) if waits else None,
    )
