"""Requests that are refused, and how Replicate words it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from typing_extensions import override

__all__ = ["Problem", "RegistryProblem", "invalid_input", "missing", "throttled"]


class Problem(Exception):  # noqa: N818 - it is an answer
    """An answer that is an error: ``{"title", "detail", "status"}``.

    Attributes:
        status: HTTP status.
        detail: What is wrong.
        title: Short form. Empty: the status in words.
        fields: What is wrong with the input, as ``invalid_fields``.
        headers: Further headers.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str = "",
        fields: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title or HTTPStatus(status).phrase
        self.fields = tuple(fields)
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Give the body as the API sends it; one of 429 has its ``detail`` only."""
        if self.status == 429:
            return {"detail": self.detail}
        body: dict[str, Any] = {"title": self.title, "detail": self.detail, "status": self.status}
        return body | ({"invalid_fields": list(self.fields)} if self.fields else {})


class RegistryProblem(Problem):
    """The same from the registry: ``{"errors": [{"code", "message"}]}``.

    Attributes:
        code: Of the distribution specification, such as ``NAME_UNKNOWN``.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, message, headers=headers)
        self.code = code

    @override
    def body(self) -> dict[str, Any]:
        """Give the body as registries send it."""
        return {"errors": [{"code": self.code, "message": self.detail, "detail": None}]}


def missing(what: str = "The requested resource could not be found.") -> Problem:
    """There is no such thing, or it is somebody else's."""
    return Problem(404, what, title="Not found")


def invalid_input(fields: Sequence[Mapping[str, str]]) -> Problem:
    """An input is not as the model's schema wants it."""
    lines = "".join(f"- {each['field']}: {each['description']}\n" for each in fields)
    return Problem(422, lines, title="Input validation failed", fields=fields)


def throttled(seconds: int) -> Problem:
    """Too many requests."""
    return Problem(
        429,
        f"Request was throttled. Your rate limit resets in ~{seconds}s.",
        headers={"ratelimit-remaining": "0", "ratelimit-reset": str(seconds)},
    )
