"""Requests that are refused, and how the gateway words it.

The gateway has three voices: its REST routes answer ``{"message": …}``, the routes that call
deployments and those of secrets ``{"error": …}``, and the JSON twins of gRPC ``{"code": …,
"message": …, "details": []}``. What a gRPC method itself refuses is a 200 with ``ok: false``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

__all__ = ["Problem", "Voice", "bad_request", "missing"]

Voice = Literal["message", "error", "grpc"]

_GRPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 429: 8, 500: 2, 501: 12, 503: 14, 504: 4}


class Problem(Exception):  # noqa: N818 - it is an answer
    """An answer that is an error.

    Attributes:
        status: HTTP status.
        message: What is wrong.
        voice: In which form it is told; ``None``: the route's own.
        retry_after: Seconds to wait before another try.
    """

    def __init__(
        self,
        status: int,
        message: str,
        voice: Voice | None = None,
        *,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.voice = voice
        self.retry_after = retry_after

    @property
    def grpc_code(self) -> int:
        """The number of gRPC's status."""
        return _GRPC_CODES.get(self.status, 2)

    def body(self, voice: Voice) -> dict[str, Any]:
        """Give the body."""
        voice = self.voice or voice
        if voice == "grpc":
            return {"code": self.grpc_code, "message": self.message, "details": []}
        return {voice: self.message}


def bad_request(message: str) -> Problem:
    """A REST route does not take this."""
    return Problem(400, message, "message")


def missing(what: str = "") -> Problem:
    """There is no such thing; the gateway says no more than that."""
    return Problem(404, what or HTTPStatus.NOT_FOUND.phrase, "message")
