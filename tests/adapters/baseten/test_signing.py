"""Signatures of uploads: fixed ones, and botocore's where it is installed."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from gpuhub_baseten.signing import signed_headers

WHEN = datetime(2026, 11, 24, 10, 0, 0, tzinfo=UTC)
CREDENTIALS = {
    "aws_access_key_id": "AKIAEXAMPLE",
    "aws_secret_access_key": "made/up+secret",
    "aws_session_token": "made-up==",
}
URLS = [
    "https://uploads.s3.us-west-2.amazonaws.com/models/abc123/truss.tar",
    f"https://uploads.s3.us-west-2.amazonaws.com/{quote('a b/ü+%/x=y.tgz')}",
    "http://127.0.0.1:9000/uploads/key",
    "http://127.0.0.1:9000/",
]


def test_a_signature_that_was_checked():
    """Equal to what botocore 1.44 gives; a change of one byte changes it."""
    headers = signed_headers("PUT", URLS[0], CREDENTIALS, "us-west-2", WHEN)
    assert headers["x-amz-date"] == "20261124T100000Z"
    assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261124/us-west-2/s3/aws4_request, "
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, "
        "Signature=3a4f21a8039e46af10ace5d2f1d2ac0cf487ba97086f1a282eeadb18180193ac"
    )


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("region", ["us-west-2", "eu-central-1"])
def test_botocore_signs_the_same(url, region, monkeypatch):
    """The reference, for every kind of address."""
    auth = pytest.importorskip("botocore.auth")
    make = pytest.importorskip("botocore.awsrequest").AWSRequest
    credentials = pytest.importorskip("botocore.credentials").Credentials(*CREDENTIALS.values())
    monkeypatch.setattr(auth, "get_current_datetime", lambda *_: WHEN.replace(tzinfo=None))
    request = make("PUT", url)
    unsigned = SimpleNamespace(s3={"payload_signing_enabled": False})
    request.context["client_config"] = unsigned
    auth.S3SigV4Auth(credentials, "s3", region).add_auth(request)
    ours = signed_headers("PUT", url, CREDENTIALS, region, WHEN)
    theirs = {name.lower(): value for name, value in request.headers.items()}
    assert ours == theirs


def test_no_secret_is_in_the_headers():
    """The key that signs stays here."""
    headers = signed_headers("PUT", URLS[0], CREDENTIALS, "us-west-2", WHEN)
    assert not any(CREDENTIALS["aws_secret_access_key"] in value for value in headers.values())
