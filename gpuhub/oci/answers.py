"""Answers of a registry that are errors: status and code to an error of gpuhub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    MalformedResponse,
    NotFound,
    PayloadTooLarge,
    ProviderError,
    QuotaExceeded,
)
from gpuhub.plan import Response

__all__ = ["TAKEN", "error_of"]

# What Io must not turn into an error by the adapter's own table, which is about another API. What
# remains (408, 429, 5xx) it repeats as the request allows.
TAKEN = tuple(status for status in range(200, 500) if status not in {408, 425, 429})
"""Statuses that this package reads itself."""

_KINDS: dict[int, type[ProviderError]] = {
    401: AuthFailed,
    402: QuotaExceeded,
    403: AuthFailed,
    404: NotFound,
    410: NotFound,
    413: PayloadTooLarge,
}
_LONGEST = 300


def error_of(response: Response, *, doing: str, registry: str, repository: str) -> ProviderError:
    """The error that an answer stands for.

    Args:
        response: The answer, not a success.
        doing: What was attempted, such as ``"pushing the manifest"``.
        registry: Which one.
        repository: Which one; empty when the question was about none.
    """
    codes, words = _read(response.body)
    where = f"{registry}/{repository}" if repository else registry
    said = words or f"status {response.status}"
    kind = _KINDS.get(response.status) or _other(response.status)
    return kind(
        f"{doing} {where} failed: the registry {registry} says: {said}",
        next_step=_next_step(kind, codes, registry, repository),
        status=response.status,
        code=codes[0] if codes else None,
        request_id=response.headers.get("x-request-id"),
    )


def _other(status: int) -> type[ProviderError]:
    return BadRequest if status >= 400 else MalformedResponse


def _read(body: bytes) -> tuple[list[str], str]:
    """Codes and words of an error body, ``{"errors": [{"code", "message", "detail"}]}``."""
    try:
        errors = json.loads(body)["errors"]
        found = [error for error in errors if isinstance(error, dict)]
    except (ValueError, KeyError, TypeError):
        return [], " ".join(body.decode("utf-8", "replace").split())[:_LONGEST]
    codes = [str(error["code"]) for error in found if error.get("code")]
    return codes, "; ".join(filter(None, map(_words, found)))[:_LONGEST]


def _words(error: dict[str, Any]) -> str:
    return ": ".join(_named(error))


def _named(error: dict[str, Any]) -> Iterator[str]:
    for name in ("code", "message", "detail"):
        value = error.get(name)
        if value:
            yield value if isinstance(value, str) else json.dumps(value)


def _next_step(kind: type[ProviderError], codes: list[str], registry: str, repository: str) -> str:
    if "NAME_UNKNOWN" in codes:
        return f"create the repository {repository} at {registry} first, or correct its name"
    if "MANIFEST_BLOB_UNKNOWN" in codes:
        return "push again: the registry lost a layer between the upload and the manifest"
    if "DIGEST_INVALID" in codes:
        return "push again; if it stays so, delete the cached layers: a file changed on disk"
    return {
        AuthFailed: f"check the username and password for {registry}, and that they give access to"
        f" {repository or 'it'}",
        NotFound: "check the name, the tag and the registry",
        PayloadTooLarge: "make the layer smaller, or raise the limit of the registry or of the"
        " proxy before it",
        QuotaExceeded: f"check the account's limits at {registry}",
        MalformedResponse: "check that the address is a registry's (/v2/)",
    }.get(kind, "compare with what the registry accepts")
