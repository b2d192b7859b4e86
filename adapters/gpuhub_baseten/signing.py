"""AWS Signature Version 4 for one upload to S3, with temporary credentials. Pure.

"Signature Version 4 signing process" of AWS's documentation; why no library does it is in
docs/decisions/0030-sigv4-for-one-upload.md. The body is not part of the signature
(``UNSIGNED-PAYLOAD``): it may be large, and TLS protects it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote, unquote, urlsplit

__all__ = ["signed_headers"]

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"


def signed_headers(
    method: str, url: str, credentials: Mapping[str, str], region: str, when: datetime
) -> dict[str, str]:
    """Give the headers that make a request to S3 valid.

    Args:
        method: HTTP method.
        url: Address without a query.
        credentials: ``aws_access_key_id``, ``aws_secret_access_key``, ``aws_session_token``.
        region: Of the bucket.
        when: Moment of the request, UTC; S3 allows 15 minutes to either side.
    """
    parts = urlsplit(url)
    stamp = when.strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "host": parts.netloc.rpartition("@")[2],
        "x-amz-content-sha256": _UNSIGNED,
        "x-amz-date": stamp,
        "x-amz-security-token": credentials["aws_session_token"],
    }
    names = ";".join(headers)
    path = quote(unquote(parts.path) or "/", safe="/-_.~")
    listed = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"{method}\n{path}\n\n{listed}\n{names}\n{_UNSIGNED}"
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}"
    key = f"AWS4{credentials['aws_secret_access_key']}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"{credentials['aws_access_key_id']}/{scope}"
    del headers["host"]  # the client writes the same
    return {
        **headers,
        "authorization": (
            f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={key.hex()}"
        ),
    }
