"""Requests that are refused, and how Baseten words it."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

__all__ = ["Problem", "conflict", "invalid", "missing", "unavailable"]

_CODES = {
    400: "client_error",
    401: "unauthorized",
    403: "unauthorized",
    404: "model_does_not_exist",
    413: "payload_too_large",
    429: "rate_limited",
    502: "application_error",
    503: "model_unavailable",
    504: "timeout",
}
"""``error_code`` of the inference document by status; which goes with which is a guess."""


class Problem(Exception):  # noqa: N818 - it is an answer
    """An answer that is an error.

    Attributes:
        status: HTTP status.
        detail: What is wrong.
        code: Machine-readable code. Empty: the usual one for the status.
        retry_after: Seconds to wait before another try.
    """

    def __init__(
        self, status: int, detail: str, code: str = "", *, retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code
        self.retry_after = retry_after

    def control_body(self) -> dict[str, Any]:
        """The body of the management API: its own client reads ``message``; more is unknown."""
        body: dict[str, Any] = {"message": self.detail}
        return body | ({"code": self.code} if self.code else {})

    def data_body(self) -> dict[str, Any]:
        """``ErrorResponse`` of the inference document; its wording is a guess."""
        body: dict[str, Any] = {"error": self.detail}
        code = self.code or _CODES.get(self.status, "internal_baseten_error")
        return body | ({"error_code": code} if code else {})

    def graph_body(self) -> dict[str, Any]:
        """How the GraphQL API tells of it."""
        extensions = {"code": self.code} if self.code else {}
        return {"errors": [{"message": self.detail, "extensions": extensions}], "data": None}

    def store_body(self) -> bytes:
        """How S3 tells of it."""
        head = '<?xml version="1.0" encoding="UTF-8"?>\n'
        inner = f"<Code>{escape(self.code)}</Code><Message>{escape(self.detail)}</Message>"
        return f"{head}<Error>{inner}</Error>".encode()


def conflict(detail: str) -> Problem:
    """What is asked for contradicts what there is."""
    return Problem(409, detail)


def invalid(detail: str) -> Problem:
    """A body that does not have the documented form, or values that may not be."""
    return Problem(400, detail)


def missing(what: str) -> Problem:
    """There is no such thing."""
    return Problem(404, f"{what} not found")


def unavailable(detail: str) -> Problem:
    """A deployment that cannot answer now."""
    return Problem(503, detail, "model_not_ready", retry_after=1.0)
