"""What the SDK raises as gpuhub's errors: one table by gRPC status, without importing the SDK.

Statuses: ``modal.exception`` and ``modal._grpc_client`` of modal 1.6.4. The SDK's errors keep the
status in ``_grpc_status``; reading ``status`` warns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    GpuHubError,
    MalformedResponse,
    NoCapacity,
    NotFound,
    PayloadTooLarge,
    ProviderError,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
)

__all__ = ["error_of", "malformed", "named_errors"]


@dataclass(frozen=True, slots=True)
class _Rule:
    error: type[ProviderError]
    next_step: str
    accepted: bool | None = False


_SLOWER = "lower the concurrency, or try again later"
_UNKNOWN = _Rule(ProviderUnavailable, "try again; look at status.modal.com", None)
_BY_STATUS = {
    "INVALID_ARGUMENT": _Rule(BadRequest, "correct what Modal names"),
    "OUT_OF_RANGE": _Rule(BadRequest, "correct what Modal names"),
    "FAILED_PRECONDITION": _Rule(BadRequest, "look at `gpuhub status`"),
    "ABORTED": _Rule(BadRequest, "look at `gpuhub status`, and try again"),
    "ALREADY_EXISTS": _Rule(BadRequest, "look at `gpuhub status`"),
    "NOT_FOUND": _Rule(NotFound, "check the name with `gpuhub status`"),
    "UNAUTHENTICATED": _Rule(AuthFailed, "set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET to a token"),
    "PERMISSION_DENIED": _Rule(AuthFailed, "use a token that may do this"),
    "UNIMPLEMENTED": _Rule(BadRequest, "update the modal package"),
    "RESOURCE_EXHAUSTED": _Rule(RateLimited, _SLOWER),
}
_BY_NAME = {
    "AuthError": _BY_STATUS["UNAUTHENTICATED"],
    "PermissionDeniedError": _BY_STATUS["PERMISSION_DENIED"],
    "NotFoundError": _BY_STATUS["NOT_FOUND"],
    "InvalidError": _BY_STATUS["INVALID_ARGUMENT"],
    "VersionError": _Rule(BadRequest, "update the modal package"),
    "RequestSizeError": _Rule(PayloadTooLarge, 'set payload_store = "s3://…" in gpuhub.toml'),
    "DecodeError": _Rule(MalformedResponse, "update the modal package", None),
    "ResourceExhaustedError": _BY_STATUS["RESOURCE_EXHAUSTED"],
}
_LOST = _Rule(ProviderUnavailable, "try again; look at status.modal.com", None)
_LOST_NAMES = ("StreamTerminatedError", "ProtocolError", "GRPCError")
_NO_CAPACITY = re.compile(r"capacity|no (?:free|available)|unavailable", re.IGNORECASE)
_QUOTA = re.compile(r"quota|budget|billing|credit|spend|limit of|maximum number", re.IGNORECASE)


@contextmanager
def named_errors() -> Iterator[None]:
    """Raise what the SDK raises as an error of gpuhub's; anything else passes."""
    try:
        yield
    except GpuHubError:
        raise
    except Exception as error:
        known = error_of(error)
        if known is None:
            raise
        raise known from error


def error_of(error: BaseException) -> ProviderError | None:
    """Give gpuhub's error; ``None`` for one that is neither the SDK's nor the connection's."""
    names = [kind.__name__ for kind in type(error).__mro__]
    status = getattr(getattr(error, "_grpc_status", None), "name", None)
    if status is not None:
        return _refused(str(status), str(error), getattr(error, "_grpc_details", None))
    rule = next((_BY_NAME[name] for name in names if name in _BY_NAME), None)
    if rule is _BY_STATUS["RESOURCE_EXHAUSTED"]:
        return _refused("RESOURCE_EXHAUSTED", str(error), None)
    if rule is None:
        rule = _of_the_connection(error, names)
    if rule is None:
        return None
    words = f"the connection to Modal was lost: {error!r}" if rule is _LOST else str(error)
    return _made(rule, words, names[0])


def _of_the_connection(error: BaseException, names: list[str]) -> _Rule | None:
    is_modals = "Error" in names and type(error).__module__.startswith("modal")
    if is_modals and "ConnectionError" in names:
        # The SDK tries for a minute to connect; what it says later is about a request.
        never = str(error).startswith("Could not connect")
        return _Rule(
            ProviderUnavailable,
            "check server_url and the network",
            accepted=False if never else None,
        )
    if is_modals:
        return _UNKNOWN
    is_lost = isinstance(error, OSError | TimeoutError) or "_write_appdata" in str(error)
    return _LOST if is_lost or any(name in _LOST_NAMES for name in names) else None


def _refused(status: str, message: str, details: Any) -> ProviderError:
    rule = _BY_STATUS.get(status, _UNKNOWN)
    if status != "RESOURCE_EXHAUSTED":
        return _made(rule, message, status)
    pause = _retry_after(details)
    if pause is None and _NO_CAPACITY.search(message):
        rule = _Rule(NoCapacity, "allow another GPU, or try again later")
    elif pause is None and _QUOTA.search(message):
        rule = _Rule(QuotaExceeded, "raise the limit in Modal's dashboard")
    return _made(rule, message, status, pause)


def _retry_after(details: Any) -> float | None:
    for detail in details or ():
        seconds = getattr(detail, "retry_after_secs", None)
        if seconds is not None:
            return float(seconds)
    return None


def _made(rule: _Rule, message: str, code: str, retry_after: float | None = None) -> ProviderError:
    facts: dict[str, Any] = {"provider": "modal", "code": code, "accepted": rule.accepted}
    facts["next_step"] = rule.next_step
    if retry_after is not None and issubclass(rule.error, RateLimited | ProviderUnavailable):
        facts["retry_after"] = retry_after
    return rule.error(f"Modal: {message or code}", **facts)


def malformed(what: str) -> MalformedResponse:
    """The error for an answer that lacks what Modal's protobuf promises."""
    return MalformedResponse(
        f"Modal: {what}",
        provider="modal",
        accepted=None,
        next_step="try again; update the modal package if it stays so",
    )
