"""Webhooks: whether a request to your server is Replicate's.

Signed as "Standard Webhooks" prescribe ("Verify webhooks" of Replicate's documentation, read
2026-11-20): HMAC-SHA256 over ``id.timestamp.body``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping

from gpuhub.errors import AuthFailed

__all__ = ["verify_webhook"]

_PREFIX = "whsec_"
_VERSION = "v1"


def verify_webhook(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance_s: float = 300.0,
    now: float | None = None,
) -> str:
    """Check the signature of a webhook, and that it is fresh.

    Replicate may send the same webhook twice, and out of order: keep the id that this gives, and
    read the prediction's state from the body.

    Args:
        secret: The account's signing secret, ``whsec_…``, from the website or
            :meth:`ReplicateAdapter.webhook_secret`.
        headers: Of the request, in any case.
        body: As it arrived, not parsed and written again.
        tolerance_s: Most seconds between the signature's time and now, either way.
        now: Seconds since the epoch. Default: the machine's clock.

    Returns:
        The webhook's id.

    Raises:
        AuthFailed: It is not Replicate's, was changed, or is too old.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        number, stamp = given["webhook-id"], given["webhook-timestamp"]
        signatures = given["webhook-signature"].split()
        moment = float(stamp)
    except (KeyError, ValueError):
        raise _refused("its headers webhook-id, -timestamp and -signature are incomplete") from None
    late = abs((time.time() if now is None else now) - moment)
    if not late <= tolerance_s:
        raise _refused(f"it was signed {late:.0f} s from now; {tolerance_s:g} s are allowed")
    expected = _signature(secret, f"{number}.{stamp}.".encode() + body)
    known = [
        value
        for version, _, value in (each.partition(",") for each in signatures)
        if version == _VERSION
    ]
    if not any(hmac.compare_digest(expected.encode(), each.encode()) for each in known):
        raise _refused("its signature is another one")
    return number


def _signature(secret: str, content: bytes) -> str:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        raise _refused("the signing secret is none: it looks like whsec_…") from None
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def _refused(why: str) -> AuthFailed:
    return AuthFailed(
        f"the webhook cannot be trusted: {why}",
        provider="replicate",
        accepted=False,
        next_step="answer it with 401; check the secret against GET /webhooks/default/secret",
    )
