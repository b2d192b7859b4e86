"""The object store: signatures are checked, and only what was asked for can be written."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from tests.adapters.baseten.emulator.conftest import signed


def put(account, made, content=b"abc", creds=None, path="", **changes):
    """Upload something; ``changes`` are headers that are signed."""
    url = account.place(made) + path
    headers = signed(url, creds or made["creds"], made["s3_region"], **changes)
    return httpx.put(url, content=content, headers=headers, timeout=60, trust_env=False)


def test_a_signed_upload_is_taken(account):
    """With the payload unsigned, or its hash."""
    made = account.prepared("a")
    answer = put(account, made)
    assert (answer.status_code, answer.headers["etag"]) == (200, f'"{_md5(b"abc")}"')
    digest = hashlib.sha256(b"abc").hexdigest()
    assert put(account, made, **{"x-amz-content-sha256": digest}).status_code == 200


def test_a_wrong_signature_is_refused(account):
    """A wrong secret, token, region, key or hash; or none at all."""
    made = account.prepared("a")
    creds = made["creds"]
    wrong = put(account, made, creds={**creds, "aws_secret_access_key": "wrong"})
    assert (wrong.status_code, "SignatureDoesNotMatch" in wrong.text) == (403, True)
    wrong = put(account, made, creds={**creds, "aws_session_token": "wrong"})
    assert (wrong.status_code, "InvalidToken" in wrong.text) == (400, True)
    wrong = put(account, made, creds={**creds, "aws_access_key_id": "ASIANONE"})
    assert (wrong.status_code, "InvalidAccessKeyId" in wrong.text) == (403, True)
    wrong = put(account, {**made, "s3_region": "us-east-1"})
    assert (wrong.status_code, "AuthorizationHeaderMalformed" in wrong.text) == (400, True)
    wrong = put(account, made, **{"x-amz-content-sha256": "0" * 64})
    assert (wrong.status_code, "XAmzContentSHA256Mismatch" in wrong.text) == (400, True)
    assert put(account, made, path="x").status_code == 403
    unsigned = httpx.put(account.place(made), content=b"abc", timeout=60, trust_env=False)
    assert unsigned.status_code == 403


def test_credentials_end(account, clock):
    """After an hour."""
    made = account.prepared("a")
    clock.advance(3601)
    answer = put(account, made)
    assert (answer.status_code, "ExpiredToken" in answer.text) == (400, True)


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
def test_nothing_but_uploads(account, method):
    """The credentials allow no more."""
    made = account.prepared("a")
    url = account.place(made)
    headers = signed(url, made["creds"], made["s3_region"])
    answer = httpx.request(method, url, headers=headers, timeout=60, trust_env=False)
    assert answer.status_code == 403


def test_the_api_key_is_not_needed_there(account):
    """And the record shows no credential."""
    made = account.prepared("a")
    put(account, made)
    (request,) = account.emulator.requests.of("put")
    assert made["creds"]["aws_session_token"] not in repr(request)
    assert request.headers["authorization"] == "AWS4-HMAC-SHA256 ****"


def _md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
