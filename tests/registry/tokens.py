"""A login service as registries use it: signed tokens for the scopes that a user may have."""

from __future__ import annotations

import base64
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

SERVICE = "registry.example"
ISSUER = "login.example"


class TokenService(ThreadingHTTPServer):
    """Gives ann all she asks for, and nobody else more than reading.

    Attributes:
        asked: Scopes of each request, in order.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.asked: list[list[str]] = []
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._certificate = self._own_certificate()
        self.bundle = folder / "tokens.pem"
        self.bundle.write_bytes(self._certificate.public_bytes(Encoding.PEM))
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def configuration(self) -> str:
        """The registry's part."""
        return f"""\
auth:
  token:
    realm: http://127.0.0.1:{self.server_address[1]}/token
    service: {SERVICE}
    issuer: {ISSUER}
    rootcertbundle: {self.bundle}
"""

    def token(self, scopes: list[str], *, may_push: bool) -> str:
        """Give a signed token."""
        der = base64.b64encode(self._certificate.public_bytes(Encoding.DER)).decode()
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": SERVICE,
            "sub": "ann",
            "iat": now,
            "nbf": now - 10,
            "exp": now + 300,
            "jti": str(time.monotonic_ns()),
            "access": [_access(scope, may_push=may_push) for scope in scopes],
        }
        signed = f"{_part({'typ': 'JWT', 'alg': 'RS256', 'x5c': [der]})}.{_part(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_text(signature)}"

    def _own_certificate(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ISSUER)])
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )


class _Exchange(BaseHTTPRequestHandler):
    server: TokenService

    def do_GET(self) -> None:
        scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
        self.server.asked.append(scopes)
        login = self.headers.get("Authorization")
        if login not in (None, f"Basic {base64.b64encode(b'ann:open-sesame').decode()}"):
            self._reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]})
            return
        self._reply(200, {"token": self.server.token(scopes, may_push=login is not None)})

    def _reply(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Stay quiet."""


def _access(scope: str, *, may_push: bool) -> dict[str, Any]:
    kind, name, actions = scope.split(":")
    allowed = [each for each in actions.split(",") if each == "pull" or may_push]
    return {"type": kind, "name": name, "actions": allowed}


def _part(content: dict[str, Any]) -> str:
    return _text(json.dumps(content).encode())


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
