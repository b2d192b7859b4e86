"""The mock's error answers as gpuhub's errors: one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuhub.adapter import ErrorRule
from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    CallCancelled,
    CallFailed,
    CallTimedOut,
    GpuHubError,
    MalformedResponse,
    NoCapacity,
    NotFound,
    PayloadTooLarge,
    ProviderUnavailable,
    RateLimited,
)

if TYPE_CHECKING:
    from gpuhub_mock.emulator.refusals import Refusal

__all__ = ["ERRORS", "call_problem", "error_of"]

ERRORS = (
    ErrorRule(0, ProviderUnavailable, accepted=None, next_step="look at the call before repeating"),
    ErrorRule(200, MalformedResponse, "malformed", accepted=None, next_step="try again"),
    ErrorRule(400, BadRequest, next_step="correct the arguments"),
    ErrorRule(401, AuthFailed, next_step="take the fault away: the mock needs no credential"),
    ErrorRule(404, NotFound, next_step="deploy it, or check the name"),
    ErrorRule(409, BadRequest, next_step="look at `gpuhub status`"),
    ErrorRule(410, NotFound, "expired", next_step="fetch results sooner, or raise result_ttl_s"),
    ErrorRule(413, PayloadTooLarge, next_step="pass a reference instead of the value"),
    ErrorRule(
        422,
        BadRequest,
        "unknown_secret",
        next_step="put it into the mock's secrets, or set the variable of that name",
    ),
    ErrorRule(422, BadRequest, next_step="correct the request"),
    ErrorRule(429, RateLimited, next_step="slow down"),
    ErrorRule(503, NoCapacity, "no_capacity", next_step="try later, or allow another GPU"),
    ErrorRule(500, ProviderUnavailable, accepted=None, next_step="try again later"),
    ErrorRule(503, ProviderUnavailable, next_step="try again later"),
    ErrorRule(504, ProviderUnavailable, accepted=None, next_step="try again later"),
)
"""First matching line wins; a code of ``None`` matches any."""

_FALLBACK = ErrorRule(500, ProviderUnavailable, accepted=None, next_step="try again later")
_CALL_ERRORS: dict[str, type[CallFailed]] = {
    "timed_out": CallTimedOut,
    "cancelled": CallCancelled,
}


def error_of(refusal: Refusal) -> GpuHubError:
    """Give the error for an answer that is not what was asked for."""
    facts: dict[str, Any] = {"provider": "mock", "code": refusal.code}
    facts["status"] = refusal.status or None
    if kind := _CALL_ERRORS.get(refusal.code):
        return kind(refusal.message, **facts)
    rule = next((rule for rule in ERRORS if _fits(rule, refusal)), _FALLBACK)
    facts |= {"accepted": rule.accepted, "next_step": rule.next_step}
    if issubclass(rule.error, RateLimited | ProviderUnavailable):
        facts["retry_after"] = refusal.retry_after
    return rule.error(refusal.message, **facts)


def call_problem(refusal: Refusal, call_id: str) -> GpuHubError:
    """Give the error of a call that failed without an answer of the function's own."""
    facts: dict[str, Any] = {"provider": "mock", "code": refusal.code}
    facts["status"] = refusal.status
    if refusal.status == 413:
        return PayloadTooLarge(
            refusal.message, next_step="return a reference instead of the value", **facts
        )
    return CallFailed(refusal.message, call_id=call_id, next_step="look at `gpuhub logs`", **facts)


def _fits(rule: ErrorRule, refusal: Refusal) -> bool:
    return rule.status == refusal.status and rule.code in (None, refusal.code)
