"""The gateway's error answers as gpuhub's errors: one table, and how to read a body.

Its shapes, read in the gateway's source (beam-cloud/beta9 at 0b79dfe, 2026-08-19): REST routes
answer ``{"message": …}`` (echo), the routes mounted from gRPC ``{"code": 16, "message": …}``, calls
``{"error": …}``, and a runner that could not begin ``{"detail": …}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import ErrorFacts, ErrorRule
from gpuhub.adapter.reading import Answers, first_of
from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    NotFound,
    PayloadTooLarge,
    ProviderUnavailable,
    RateLimited,
)

if TYPE_CHECKING:
    from gpuhub.plan import Response

__all__ = [
    "BUSY",
    "ERRORS",
    "GONE",
    "NO_CONTAINER",
    "UNSCHEDULABLE",
    "document",
    "granted",
    "member",
    "read_error",
]

GONE = "gone"
"""The name or version has no active deployment."""
UNSCHEDULABLE = "unschedulable"
"""No pool of the gateway has the GPU."""
BUSY = "lifecycle"
"""The runner did not begin the call."""
NO_CONTAINER = "no-container"
"""No container was ready in time; the call was dropped from the queue."""

_NO_GPU = "allow another GPU, or ask Beam for capacity; `gpuhub gpus` lists the names"

_ANSWERS = Answers("beam", "Beam", speaker="the gateway")
document, member, known = _ANSWERS.document, _ANSWERS.member, _ANSWERS.known

ERRORS = (
    ErrorRule(400, NotFound, GONE, next_step="deploy it again: that version was stopped"),
    ErrorRule(400, BadRequest, next_step="correct what Beam names"),
    ErrorRule(401, AuthFailed, next_step="set BEAM_TOKEN to a token of the workspace"),
    ErrorRule(403, AuthFailed, next_step="set BEAM_TOKEN to a token that may do this"),
    ErrorRule(404, NotFound, next_step="check the name with `gpuhub status`"),
    ErrorRule(413, PayloadTooLarge, next_step='pass a reference: set payload_store = "s3://…"'),
    ErrorRule(
        429,
        RateLimited,
        next_step="lower the concurrency, or raise max_pending_tasks in [providers.beam]",
    ),
    ErrorRule(503, NoCapacity, UNSCHEDULABLE, next_step=_NO_GPU),
    ErrorRule(503, ProviderUnavailable, BUSY, next_step="try again"),
    # A proxy in front of the gateway may say 503 after it has passed the request on.
    ErrorRule(503, ProviderUnavailable, accepted=None, next_step="look at the deployment first"),
    ErrorRule(504, NoCapacity, NO_CONTAINER, next_step=_NO_GPU),
)

_CODES = {
    "Deployment is not active": GONE,
    "Invalid deployment": GONE,
    "Invalid deployment version": GONE,
    "Timed out waiting for a backend container": NO_CONTAINER,
}


def read_error(response: Response) -> ErrorFacts:
    """Read an error body of any of the shapes."""
    body = response.json()
    message = first_of(body, "message", "error", "detail")
    return ErrorFacts(
        message=message,
        code=_code(response.status, body, message),
        request_id=first_of(response.headers, "x-task-id", "x-request-id") or None,
    )


def _code(status: int, body: Mapping[str, Any], message: str) -> str | None:
    if known := _CODES.get(message):
        return known
    if status == 503 and "error" in body:
        return UNSCHEDULABLE
    if status == 503 and "detail" in body:
        return BUSY
    code = body.get("code")
    return None if code is None else str(code)


def granted(response: Response, what: str) -> dict[str, Any]:
    """Give an answer of a route mounted from gRPC: these say ``ok: false`` with status 200.

    Args:
        response: The answer.
        what: What was asked for, for the error.

    Raises:
        BadRequest: The gateway refused; gives its words.
        MalformedResponse: It is no answer of such a route.
    """
    found = document(response)
    if found.get("ok") is True:
        return found
    words = found.get("errMsg") or found.get("errorMsg")
    # Go leaves out what is false or empty: an answer without any member is a refusal too.
    if not words and set(found) - {"ok"}:
        raise _ANSWERS.malformed(
            f"the answer to {what} does not say whether it worked", response.status
        )
    raise BadRequest(
        f"Beam refused {what}: {words or 'it gives no reason'}",
        provider="beam",
        status=response.status,
        request_id=response.headers.get("x-request-id"),
        next_step="correct what Beam names; `gpuhub plan` shows what is sent",
    )
