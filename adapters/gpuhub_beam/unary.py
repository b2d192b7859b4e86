"""One gRPC call over HTTP/2, by hand: Beam makes schedules in no other way.

As much of HTTP/2 (RFC 9113) and of gRPC's wire form as a single unary call needs: header fields are
sent literally, without Huffman codes or tables, and those of the answer are not read, since the
gateway says in the message whether it worked. A connection for each call, which is rare.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterable, Iterator
from contextlib import closing
from urllib.parse import urlsplit

from gpuhub.errors import ConfigError, ProviderUnavailable

__all__ = ["call", "fields_of", "message"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 0x1, 0x1, 0x4, 0x8
_NO_PUSH = struct.pack(">HI", 2, 0)
_TIMEOUT_S = 30.0
_PORTS = {"http": 1993, "https": 443}


def call(url: str, route: str, body: bytes, token: str) -> bytes:
    """Call a method and give its answer's message. Blocks.

    Args:
        url: ``http://host:1993`` or ``https://host:443``.
        route: ``/package.Service/Method``.
        body: The message.
        token: Bearer token.

    Raises:
        ConfigError: The address is none.
        ProviderUnavailable: There was no answer, or one without a message.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ConfigError(
            f"providers.beam.grpc_url: {url!r} is no address like http://host:1993",
            next_step="correct it in gpuhub.toml or GPUHUB_BEAM_GRPC_URL",
            provider="beam",
        )
    host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
    try:
        with closing(_connected(parts.scheme, host, port)) as connection:
            headers = _headers(parts.scheme, f"{host}:{port}", route, token)
            connection.sendall(
                _PREFACE
                + _frame(_SETTINGS, 0, 0, _NO_PUSH)
                + _frame(_HEADERS, _END_HEADERS, 1, headers)
                + _frame(_DATA, _END_STREAM, 1, struct.pack(">BI", 0, len(body)) + body)
            )
            answer = _answer(connection)
    except OSError as error:
        raise _unavailable(f"{host}:{port}", route, str(error)) from None
    if len(answer) < 5 or len(answer) < 5 + struct.unpack(">I", answer[1:5])[0]:
        raise _unavailable(f"{host}:{port}", route, "it answered without a message")
    return answer[5:]


def _unavailable(place: str, route: str, why: str) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"Beam's gateway did not answer {route} at {place}: {why}",
        provider="beam",
        accepted=None,
        next_step="check grpc_url in [providers.beam] and BEAM_TOKEN; the gateway's log says more",
    )


def _connected(scheme: str, host: str, port: int) -> socket.socket:
    plain = socket.create_connection((host, port), timeout=_TIMEOUT_S)
    if scheme == "http":
        return plain
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(plain, server_hostname=host)


def _headers(scheme: str, authority: str, route: str, token: str) -> bytes:
    fields = {
        ":method": "POST",
        ":scheme": scheme,
        ":path": route,
        ":authority": authority,
        "content-type": "application/grpc",
        "te": "trailers",
        "authorization": f"Bearer {token}",
    }
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields.items())


def _text(text: str) -> bytes:
    """Write a string of HPACK: its length in a prefix of seven bits, then itself."""
    raw = text.encode("ascii", "replace")
    if len(raw) < 127:
        return bytes([len(raw)]) + raw
    rest, length = len(raw) - 127, [127]
    while rest >= 128:
        length.append(rest % 128 + 128)
        rest //= 128
    return bytes([*length, rest]) + raw


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _answer(connection: socket.socket) -> bytes:
    """Read frames until the stream ends; give its data."""
    found = b""
    while True:
        head = _exactly(connection, 9)
        kind, flags = head[3], head[4]
        payload = _exactly(connection, int.from_bytes(head[:3], "big"))
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            connection.sendall(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind in (_RESET, _GOAWAY):
            raise ConnectionError("it ended the connection")
        elif kind == _DATA:
            padding = 1 + payload[0] if flags & _PADDED else 0
            found += payload[1 : len(payload) + 1 - padding] if padding else payload
        if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            return found


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = connection.recv(size - len(found))
        if not piece:
            raise ConnectionError("it closed the connection")
        found += piece
    return found


# --------------------------------------------------------------------------------- protobuf


def message(texts: Iterable[str]) -> bytes:
    """Write a message whose fields are texts, numbered from 1."""
    found = b""
    for number, text in enumerate(texts, 1):
        raw = text.encode()
        found += _varint(number << 3 | 2) + _varint(len(raw)) + raw
    return found


def _varint(number: int) -> bytes:
    found = []
    while number >= 128:
        found.append(number % 128 + 128)
        number //= 128
    return bytes([*found, number])


def fields_of(body: bytes) -> dict[int, int | bytes]:
    """Read the numbers and texts of a message, by field.

    Raises:
        ValueError: It holds something else, or ends too early.
    """
    found: dict[int, int | bytes] = {}
    rest = iter(body)
    while (tag := _read(rest)) is not None:
        value = _read(rest)
        if value is None or tag % 8 not in (0, 2):
            raise ValueError("not a message of numbers and texts")
        if tag % 8 == 0:
            found[tag >> 3] = value
            continue
        text = bytes(byte for _, byte in zip(range(value), rest, strict=False))
        if len(text) < value:
            raise ValueError("the message ends too early")
        found[tag >> 3] = text
    return found


def _read(rest: Iterator[int]) -> int | None:
    number, shift = 0, 0
    for byte in rest:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 128:
            return number
    return None
