"""Webhooks: what is Replicate's, and what is not."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from gpuhub.errors import AuthFailed
from gpuhub_replicate import verify_webhook
from tests.adapters.replicate.answers import API

KEY = b"a signing key of 32 bytes, made up"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
BODY = b'{"id":"p1","status":"succeeded"}'
NOW = 1_790_000_000.0


def headers(body: bytes = BODY, *, stamp: str = f"{NOW:.0f}", key: bytes = KEY) -> dict[str, str]:
    """Sign as Replicate does."""
    content = b"msg_1." + stamp.encode() + b"." + body
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "Webhook-Id": "msg_1",
        "webhook-timestamp": stamp,
        "WEBHOOK-SIGNATURE": f"v1,bm90IHRoaXM= v1,{signature}",
    }


def test_a_signed_webhook_is_accepted():
    """One of several signatures is enough; the id tells repeats."""
    assert verify_webhook(SECRET, headers(), BODY, now=NOW + 10) == "msg_1"


@pytest.mark.parametrize(
    ("given", "body", "now", "secret"),
    [
        (headers(), BODY + b" ", NOW, SECRET),
        (headers(key=b"another"), BODY, NOW, SECRET),
        (headers(), BODY, NOW + 301, SECRET),
        (headers(), BODY, NOW - 301, SECRET),
        (headers(stamp="nan"), BODY, NOW, SECRET),
        (headers(stamp="soon"), BODY, NOW, SECRET),
        ({**headers(), "WEBHOOK-SIGNATURE": "v2,x"}, BODY, NOW, SECRET),
        ({**headers(), "WEBHOOK-SIGNATURE": "v1,\xe9"}, BODY, NOW, SECRET),
        ({"webhook-id": "msg_1"}, BODY, NOW, SECRET),
        (headers(), BODY, NOW, "whsec_?"),
    ],
)
def test_others_are_refused(given, body, now, secret):
    """Changed, signed by somebody else, too old, too new, or not signed."""
    with pytest.raises(AuthFailed, match="cannot be trusted") as caught:
        verify_webhook(secret, given, body, now=now)
    assert base64.b64encode(KEY).decode() not in str(caught.value)


def test_the_machines_clock_is_the_default():
    """An old one is refused without saying when now is."""
    with pytest.raises(AuthFailed, match="s are allowed"):
        verify_webhook(SECRET, headers(stamp="1000"), BODY)


def test_the_secret_can_be_asked_for(lab, api):
    """And is not shown."""
    api.get(f"{API}/webhooks/default/secret").respond(json={"key": SECRET})
    found = lab.run(lab.adapter.webhook_secret(lab.io))
    assert SECRET not in repr(found)
    assert verify_webhook(found.get_secret_value(), headers(), BODY, now=NOW)
