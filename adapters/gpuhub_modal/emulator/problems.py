"""Requests that are refused, and how."""

from __future__ import annotations

from typing import Any

__all__ = ["Refused", "bad", "missing"]


class Refused(Exception):  # noqa: N818 - it is an answer
    """An RPC that ends with a status other than OK.

    Attributes:
        status: Name of the gRPC status.
        message: Words for the user.
        details: Messages that go along.
    """

    def __init__(self, status: str, message: str, *details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details


def missing(what: str, *details: Any) -> Refused:
    """There is no such thing."""
    return Refused("NOT_FOUND", f"{what} not found", *details)


def bad(message: str) -> Refused:
    """A value is not what Modal documents to take."""
    return Refused("INVALID_ARGUMENT", message)
