"""AWS Signature Version 4, checked: https://docs.aws.amazon.com/AmazonS3/latest/API/ (2026-11)."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from gpuhub_baseten.emulator.problems import Problem

if TYPE_CHECKING:
    from gpuhub_baseten.emulator.web import Request

__all__ = ["Credentials", "access_key_of", "check_signature"]

_HEADER = re.compile(
    r"^AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/s3/aws4_request,"
    r"\s*SignedHeaders=(?P<signed>[^,]+),\s*Signature=(?P<signature>[0-9a-f]{64})$"
)
_UNHASHED = ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
_SAFE = "-_.~"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an upload is signed with.

    Attributes:
        access_key: Public part.
        secret_key: Secret part.
        session_token: Sent along.
        s3_key: The only object they may write.
        expires_at: Clock seconds.
    """

    access_key: str
    secret_key: str
    session_token: str
    s3_key: str
    expires_at: float


def access_key_of(request: Request) -> str:
    """Give the access key that a request was signed with.

    Raises:
        Problem: 403, it was not signed.
    """
    return _parts(request)["key"]


def check_signature(request: Request, credentials: Credentials, region: str) -> None:
    """Compare the signature of a request with what it has to be.

    Raises:
        Problem: 400 or 403, in S3's words.
    """
    parts = _parts(request)
    headers = request.headers
    if headers.get("x-amz-security-token") != credentials.session_token:
        raise Problem(400, "The provided token is malformed or otherwise invalid.", "InvalidToken")
    if parts["region"] != region:
        words = f"the region '{parts['region']}' is wrong; expecting '{region}'"
        raise Problem(400, words, "AuthorizationHeaderMalformed")
    signed = parts["signed"].split(";")
    needed = {"host", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"}
    if not needed <= set(signed) or signed != sorted(signed):
        raise Problem(403, "There were headers present which were not signed", "AccessDenied")
    payload = headers.get("x-amz-content-sha256", "")
    if payload not in _UNHASHED and payload != hashlib.sha256(request.body).hexdigest():
        words = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise Problem(400, words, "XAmzContentSHA256Mismatch")
    expected = _signature(request, credentials, parts, signed, payload)
    if not hmac.compare_digest(expected, parts["signature"]):
        words = "The request signature we calculated does not match the signature you provided."
        raise Problem(403, words, "SignatureDoesNotMatch")


def _parts(request: Request) -> dict[str, str]:
    match = _HEADER.match(request.headers.get("authorization", ""))
    if match is None:
        raise Problem(403, "Access Denied", "AccessDenied")
    return match.groupdict()


def _signature(
    request: Request,
    credentials: Credentials,
    parts: dict[str, str],
    signed: list[str],
    payload: str,
) -> str:
    path = quote(unquote(request.raw_path), safe=f"/{_SAFE}")
    lines = [f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in signed]
    canonical = "\n".join(
        (request.method, path, _query(request.raw_query), *lines, "", parts["signed"], payload)
    )
    scope = f"{parts['day']}/{parts['region']}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(("AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, digest))
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (parts["day"], parts["region"], "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _query(raw: str) -> str:
    pairs = [part.partition("=")[::2] for part in raw.split("&") if part]
    encoded = [
        (quote(unquote(name), safe=_SAFE), quote(unquote(value), safe=_SAFE))
        for name, value in pairs
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))
