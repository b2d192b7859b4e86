"""Errors of the SDK as gpuhub's: by gRPC status, or by the name of the class."""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest

from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    MalformedResponse,
    NoCapacity,
    NotFound,
    ProviderError,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
)
from gpuhub_modal.errors import error_of, named_errors

Status = Enum(
    "Status",
    "CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS"
    " PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED"
    " INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED",
)


def modals(name: str, *args: str, status: str = "", details: Any = None) -> Exception:
    """An error as the SDK raises it."""
    base = type("Error", (Exception,), {"__module__": "modal.exception"})
    error: Exception = type(name, (base,), {"__module__": "modal.exception"})(*args)
    if status:
        error._grpc_status = Status[status]  # type: ignore[attr-defined]
        error._grpc_details = details  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize("status", [each.name for each in Status])
def test_every_status_is_mapped(status):
    """With its code, a next step, and whether the request may have had an effect."""
    error = error_of(modals("ServiceError", "words", status=status))
    assert isinstance(error, ProviderError)
    assert (error.provider, error.code) == ("modal", status)
    assert error.next_step
    unknown = status in (
        *("CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
    )
    assert error.accepted is (None if unknown else False)
    assert isinstance(error, ProviderUnavailable) == unknown


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (modals("AuthError", "Token missing"), AuthFailed),
        (modals("NotFoundError", "no such secret"), NotFound),
        (modals("InvalidError", "wrong"), BadRequest),
        (modals("VersionError", "too old"), BadRequest),
        (modals("ClientClosed", "closed"), ProviderUnavailable),
        (modals("ExecutionError", "strange"), ProviderUnavailable),
        (type("DecodeError", (Exception,), {})("no message"), MalformedResponse),
        (ConnectionResetError("gone"), ProviderUnavailable),
        (TimeoutError(), ProviderUnavailable),
        (type("StreamTerminatedError", (Exception,), {})("gone"), ProviderUnavailable),
    ],
)
def test_errors_without_a_status(error, kind):
    """By their class; what was lost may have had an effect."""
    found = error_of(error)
    assert type(found) is kind
    assert found is not None
    assert found.next_step


@pytest.mark.parametrize(
    ("words", "details", "kind"),
    [
        ("slow down", [SimpleNamespace(retry_after_secs=7.0)], RateLimited),
        ("no capacity", [SimpleNamespace(retry_after_secs=7.0)], RateLimited),
        ("no capacity for H100 now", None, NoCapacity),
        ("workspace budget reached", [], QuotaExceeded),
        ("too many", None, RateLimited),
    ],
)
def test_an_exhausted_resource(words, details, kind):
    """A pause that is asked for is a rate limit; else the words tell."""
    error = error_of(
        modals("ResourceExhaustedError", words, status="RESOURCE_EXHAUSTED", details=details)
    )
    assert type(error) is kind
    assert error is not None
    assert error.accepted is False
    assert getattr(error, "retry_after", None) == (7.0 if details else None)


def test_a_server_that_cannot_be_reached():
    """Nothing was sent; the SDK has tried for a minute."""
    error = error_of(modals("ConnectionError", "Could not connect to the Modal server."))
    assert isinstance(error, ProviderUnavailable)
    assert error.accepted is False
    assert error_of(modals("ConnectionError", "deadline")).accepted is None  # type: ignore[union-attr]


def test_a_mistake_of_ours_is_not_called_modals():
    """It passes as it is."""
    assert error_of(KeyError("x")) is None
    with pytest.raises(KeyError), named_errors():
        raise KeyError("x")
    with pytest.raises(NotFound), named_errors():
        raise modals("NotFoundError", "x", status="NOT_FOUND")
