"""Baseten's error answers as gpuhub's errors: one table, and how to read a body.

Three speak here. The management API says ``{"message"}`` (what its clients expect; the published
document has no error bodies). The gateway in front of a model says ``{"error", "error_code"}``
(inference document, ``ErrorResponse``, read 2026-11-24). The server in the replica says
``{"error"}`` with the headers ``X-BASETEN-ERROR-SOURCE`` and ``X-BASETEN-ERROR-CODE`` (Truss 0.18,
``_truss_common/errors.py``); its codes are given here as ``model.600``.
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

__all__ = ["ERRORS", "FROM_MODEL", "document", "known", "member", "read_error"]

FROM_MODEL = "model."
"""Begins the codes of the server in the replica."""
_GATEWAY = "gateway"

_LOGS = "look at `gpuhub logs`"
_ANSWERS = Answers("baseten", "Baseten")
document, member, known = _ANSWERS.document, _ANSWERS.member, _ANSWERS.known

ERRORS = (
    ErrorRule(400, BadRequest, next_step="correct what Baseten names"),
    ErrorRule(401, AuthFailed, next_step="set BASETEN_API_KEY to a valid key"),
    ErrorRule(402, QuotaExceeded, next_step="look at the billing of the Baseten workspace"),
    ErrorRule(
        403, AuthFailed, next_step="give the key in BASETEN_API_KEY the permission: keys have types"
    ),
    ErrorRule(
        404,
        NotFound,
        next_step="check the id; a deactivated deployment is not found either: activate it",
    ),
    ErrorRule(409, BadRequest, next_step="wait for the promotion that is under way, or rename it"),
    ErrorRule(413, PayloadTooLarge, next_step='pass a reference: set payload_store = "s3://…"'),
    ErrorRule(422, BadRequest, next_step="correct the field that Baseten names"),
    ErrorRule(429, RateLimited, next_step="lower the concurrency, or raise max_workers"),
    # From the replica: an exception outside of the user's function, which answers in an envelope.
    ErrorRule(500, ProviderUnavailable, "model.600", accepted=None, next_step=_LOGS),
    ErrorRule(502, ProviderUnavailable, accepted=None, next_step=f"{_LOGS}: was memory short?"),
    ErrorRule(503, ProviderUnavailable, "model.600", next_step="the model is loading: try again"),
    ErrorRule(503, NoCapacity, "model_unavailable", next_step="try again later, or another GPU"),
    ErrorRule(503, ProviderUnavailable, _GATEWAY, next_step="try again: a replica was draining"),
    ErrorRule(503, ProviderUnavailable, "model_not_ready", next_step="try again"),
    # A proxy on the way may say 503 after it has passed the request on.
    ErrorRule(503, ProviderUnavailable, accepted=None, next_step="look at the deployment first"),
    ErrorRule(504, ProviderUnavailable, accepted=None, next_step=_LOGS),
)


def read_error(response: Response) -> ErrorFacts:
    """Read any of the three error bodies."""
    body = response.json()
    code = body.get("error_code") or body.get("code")
    if response.headers.get("x-baseten-error-source"):
        code = f"{FROM_MODEL}{response.headers.get('x-baseten-error-code', '')}"
    elif code is None and "error" in body:
        code = _GATEWAY
    return ErrorFacts(
        message=first_of(body, "error", "message", "detail"),
        code=None if code is None else str(code),
        request_id=response.headers.get("x-baseten-request-id"),
    )
