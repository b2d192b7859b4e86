"""Answers that are errors: status and code to an error of gpuhub."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin

from gpuhub._http.outgoing import Outgoing
from gpuhub._http.redaction import host_and_port
from gpuhub.adapter import ErrorFacts, ErrorRule
from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    MalformedResponse,
    NoCapacity,
    NotFound,
    PayloadTooLarge,
    ProviderError,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
)
from gpuhub.plan import Response

__all__ = ["checked", "error_of", "is_answer", "retry_after"]

LONGEST_TEXT = 300
LONGEST_MESSAGE = 2000
ERROR_BODY_BYTES = 65_536
"""Most that is read of an error answer to a stream."""

_DEFAULTS: dict[int, tuple[type[ProviderError], bool | None]] = {
    401: (AuthFailed, False),
    402: (QuotaExceeded, False),
    403: (AuthFailed, False),
    404: (NotFound, False),
    408: (ProviderUnavailable, None),
    410: (NotFound, False),
    413: (PayloadTooLarge, False),
    429: (RateLimited, False),
    503: (ProviderUnavailable, False),
}


def is_answer(outgoing: Outgoing, status: int) -> bool:
    """Whether the adapter takes this status as an answer. Redirects only when it names them."""
    accept = outgoing.request.accept
    return status in accept if accept else 200 <= status < 300


def checked(outgoing: Outgoing, response: Response) -> Response:
    """Give an answer back, or raise it as an error.

    Raises:
        ProviderError: The class that the adapter's table or the defaults name.
    """
    if is_answer(outgoing, response.status):
        return response
    raise error_of(outgoing, response)


def error_of(outgoing: Outgoing, response: Response) -> ProviderError:
    """The error that an answer stands for."""
    facts = _facts(outgoing, response)
    rule = _rule(outgoing, response.status, facts)
    named: dict[str, Any] = {}
    if issubclass(rule.error, (RateLimited, ProviderUnavailable)):
        asked = facts.retry_after
        named["retry_after"] = retry_after(response) if asked is None else asked
    info = outgoing.origins.info
    status = f"{response.status} {_phrase(response.status)}".rstrip()
    return rule.error(
        f"{info.title} answered {outgoing.label} with {status}: {facts.message}",
        next_step=rule.next_step or _next_step(outgoing, rule.error, response),
        provider=info.name,
        status=response.status,
        code=facts.code,
        request_id=facts.request_id,
        accepted=rule.accepted,
        **named,
    )


def retry_after(response: Response) -> float | None:
    """Seconds the provider asks to wait: ``Retry-After`` as a number or a date."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return _until(text, response.headers.get("date"))
    return max(0.0, seconds) if seconds < float("inf") else None


def _until(text: str, sent: str | None) -> float | None:
    """Seconds from the answer's own date, so that a wrong local clock does no harm."""
    try:
        moment = parsedate_to_datetime(text).timestamp()
        now = parsedate_to_datetime(sent).timestamp() if sent else time.time()
    except ValueError:
        return None
    return max(0.0, moment - now)


def _rule(outgoing: Outgoing, status: int, facts: ErrorFacts) -> ErrorRule:
    for rule in outgoing.origins.info.errors:
        if rule.status == status and rule.code in (None, facts.code):
            return rule
    error, accepted = _DEFAULTS.get(status) or _by_class(status)
    return ErrorRule(status, error, accepted=accepted)


def _by_class(status: int) -> tuple[type[ProviderError], bool | None]:
    hundreds = status // 100
    if hundreds == 4:
        return BadRequest, False
    if hundreds == 3:
        return MalformedResponse, False
    return (ProviderUnavailable if hundreds == 5 else MalformedResponse), None


def _facts(outgoing: Outgoing, response: Response) -> ErrorFacts:
    """What the adapter, or else the usual keys of a JSON body, or else the text says."""
    facts = _read(outgoing, response)
    message = facts.message or _location(outgoing, response) or _text(response)
    return replace(
        facts,
        message=outgoing.told(message)[:LONGEST_MESSAGE] or "no further words",
        code=None if facts.code is None else outgoing.told(str(facts.code)),
        request_id=facts.request_id or response.headers.get("x-request-id"),
    )


def _read(outgoing: Outgoing, response: Response) -> ErrorFacts:
    read = outgoing.origins.info.read_error or _usual
    try:
        return read(response)
    except Exception:  # noqa: BLE001 - a proxy's page, not the provider's JSON: the text says more
        return ErrorFacts()


def _usual(response: Response) -> ErrorFacts:
    body = json.loads(response.body)
    inner = body.get("error")
    if isinstance(inner, dict):
        body = inner
    words = (body.get(key) for key in ("message", "detail", "error", "title"))
    code = body.get("code")
    return ErrorFacts(
        message=next((word for word in words if isinstance(word, str) and word), ""),
        code=None if code is None else str(code),
    )


def _text(response: Response) -> str:
    return " ".join(response.body.decode("utf-8", "replace").split())[:LONGEST_TEXT]


def _location(outgoing: Outgoing, response: Response) -> str:
    location = response.headers.get("location")
    if response.status // 100 != 3 or not location:
        return ""
    try:
        return f"it redirects to {host_and_port(urljoin(outgoing.url, location))}"
    except ValueError:
        return "it redirects to an address that is none"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _next_step(outgoing: Outgoing, error: type[ProviderError], response: Response) -> str:
    info = outgoing.origins.info
    if issubclass(error, AuthFailed):
        variables = outgoing.origins.variables(outgoing.request.origin)
        return f"check {' and '.join(variables) or 'the credential'}: its value and permissions"
    if issubclass(error, MalformedResponse) and response.status // 100 == 3:
        return f"set the address in [providers.{info.name}] to the one it redirects to"
    for kind, step in _NEXT_STEPS.items():
        if issubclass(error, kind):
            return step.format(docs=info.docs_url)
    return ""


_NEXT_STEPS: dict[type[ProviderError], str] = {
    QuotaExceeded: "check the account's credit and limits",
    RateLimited: "wait, or lower the concurrency",
    NoCapacity: "try again later, or allow another GPU",
    PayloadTooLarge: "send less, or set payload_store so that large values travel by reference",
    NotFound: "check the name or id; deploy it if it was deleted",
    ProviderUnavailable: "try again later; see {docs} for the provider's state",
    MalformedResponse: "report it: the provider answers other than documented at {docs}",
    BadRequest: "compare the request with {docs}",
}
