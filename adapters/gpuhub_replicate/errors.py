"""Replicate's error answers as gpuhub's errors: one table, and how to read a body.

Bodies are ``{"title", "detail", "status"}``, with ``invalid_fields`` for inputs that fail the
model's schema; a throttled request has ``detail`` only (HTTP reference, read 2026-11-20). A
function or model that failed is no HTTP error: see ``states``.
"""

from __future__ import annotations

import re
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
    QuotaExceeded,
    RateLimited,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuhub.plan import Response

__all__ = ["ERRORS", "document", "known", "malformed", "member", "read_error"]

_NOT_PERMITTED = "Invalid version or not permitted"
_RESETS = re.compile(r"resets in ~?(\d+(?:\.\d+)?)\s*s")

_ANSWERS = Answers("replicate", "Replicate")
document, member = _ANSWERS.document, _ANSWERS.member
known, malformed = _ANSWERS.known, _ANSWERS.malformed

ERRORS = (
    ErrorRule(400, BadRequest, next_step="correct what Replicate names"),
    ErrorRule(401, AuthFailed, next_step="set REPLICATE_API_TOKEN to a valid token"),
    ErrorRule(402, QuotaExceeded, next_step="add credit at replicate.com/account/billing"),
    ErrorRule(
        403, AuthFailed, next_step="use a token of the account that owns the model or deployment"
    ),
    ErrorRule(
        404,
        NotFound,
        next_step="check owner and name; private models and other accounts' deployments count as"
        " not there",
    ),
    ErrorRule(413, PayloadTooLarge, next_step='pass a reference: set payload_store = "s3://…"'),
    ErrorRule(
        422,
        NotFound,
        _NOT_PERMITTED,
        next_step="check the version's id, that the token may use the model, and the account's"
        " payment method: Replicate says the same of all three",
    ),
    ErrorRule(422, BadRequest, next_step="correct the input or field that Replicate names"),
    ErrorRule(
        429,
        RateLimited,
        next_step="lower the concurrency: 600 predictions a minute, fewer without credit",
    ),
    ErrorRule(503, NoCapacity, "No capacity", next_step="choose other hardware, or try later"),
    # A proxy in front of the service may say 503 after it has passed the request on.
    ErrorRule(503, ProviderUnavailable, accepted=None, next_step="look at the predictions first"),
)


def read_error(response: Response) -> ErrorFacts:
    """Read an error body."""
    body = response.json()
    title, detail = first_of(body, "title"), first_of(body, "detail")
    fields = [_field(each) for each in body.get("invalid_fields") or ()]
    words = [word for word in (title, detail, *fields) if word]
    return ErrorFacts(
        message="; ".join(dict.fromkeys(words)),
        code=title or None,
        request_id=first_of(response.headers, "x-request-id", "cf-ray") or None,
        retry_after=_reset(response, detail) if response.status == 429 else None,
    )


def _field(each: Mapping[str, Any]) -> str:
    return f"{each.get('field', 'input')}: {each.get('description') or each.get('type')}"


def _reset(response: Response, detail: str) -> float | None:
    """Read how long to wait: ``Retry-After`` is not sent, another header or the text says it."""
    if "retry-after" in response.headers:
        return None
    said = _RESETS.search(detail)
    text = response.headers.get("ratelimit-reset", "") or (said[1] if said else "")
    try:
        return max(0.0, float(text))
    except ValueError:
        return None
