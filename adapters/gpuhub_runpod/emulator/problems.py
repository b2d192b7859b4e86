"""Requests that are refused, and how RunPod words it."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

__all__ = ["Problem", "conflict", "invalid", "missing"]


class Problem(Exception):  # noqa: N818 - it is an answer
    """An answer that is an error.

    Attributes:
        status: HTTP status.
        detail: What is wrong.
        errors: One line for each part of the body that is wrong.
        retry_after: Seconds to wait before another try.
        code: Further code, where a fault was given one.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[str] = (),
        *,
        retry_after: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.code = code

    def control_body(self) -> dict[str, Any]:
        """The body as the control plane sends it, ``application/problem+json``."""
        body: dict[str, Any] = {
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = list(self.errors)
        return body | ({"code": self.code} if self.code else {})

    def data_body(self) -> dict[str, Any]:
        """The body as the data plane sends it; its wording is a guess."""
        body: dict[str, Any] = {"error": self.detail}
        return body | ({"code": self.code} if self.code else {})


def conflict(detail: str) -> Problem:
    """Rules of a body that is well-formed contradict each other."""
    return Problem(400, detail)


def invalid(errors: Sequence[str]) -> Problem:
    """A body does not have the documented form."""
    return Problem(422, "Request validation failed.", errors)


def missing(what: str) -> Problem:
    """There is no such thing."""
    return Problem(404, f"{what} not found")
