"""RunPod's error answers as gpuhub's errors: one table, and how to read a body.

The control plane answers ``application/problem+json``: ``title``, ``status``, ``detail`` and, for a
body that fails its schema, ``errors`` (REST v2 document, ``ErrorResponse``, read 2026-11-20). The
data plane's wording is not documented: any ``error`` or ``message`` is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub.adapter import ErrorFacts, ErrorRule
from gpuhub.adapter.reading import Answers, first_of
from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    NotFound,
    PayloadTooLarge,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
)

if TYPE_CHECKING:
    from gpuhub.plan import Response

__all__ = ["ERRORS", "document", "known", "member", "read_error"]

_ANSWERS = Answers("runpod", "RunPod")
document, member, known = _ANSWERS.document, _ANSWERS.member, _ANSWERS.known

ERRORS = (
    ErrorRule(400, BadRequest, next_step="correct what RunPod names; two settings may conflict"),
    ErrorRule(401, AuthFailed, next_step="set RUNPOD_API_KEY to a valid key"),
    ErrorRule(402, QuotaExceeded, next_step="add credit, or lower max_workers of other endpoints"),
    ErrorRule(
        403,
        AuthFailed,
        next_step="give the key in RUNPOD_API_KEY the permission (keys are scoped) in the console",
    ),
    ErrorRule(
        404, NotFound, next_step="check the id in the console; a result is kept 1 to 30 minutes"
    ),
    ErrorRule(413, PayloadTooLarge, next_step='pass a reference: set payload_store = "s3://…"'),
    ErrorRule(
        422, BadRequest, next_step="correct the field that RunPod names, or update gpuhub-sdk"
    ),
    ErrorRule(429, RateLimited, next_step="lower the concurrency; the limits are per endpoint"),
    ErrorRule(503, NoCapacity, "no_capacity", next_step="allow another GPU, or try again later"),
    # A proxy in front of the service may say 503 after it has passed the request on.
    ErrorRule(503, ProviderUnavailable, accepted=None, next_step="look at the endpoint first"),
)


def read_error(response: Response) -> ErrorFacts:
    """Read either plane's error body."""
    body = response.json()
    message = first_of(body, "detail", "error", "message", "title")
    problems = [str(problem) for problem in body.get("errors") or ()]
    code = body.get("code")
    return ErrorFacts(
        message="; ".join([message, *problems]).strip("; "),
        code=None if code is None else str(code),
        request_id=first_of(response.headers, "x-request-id", "cf-ray") or None,
    )
