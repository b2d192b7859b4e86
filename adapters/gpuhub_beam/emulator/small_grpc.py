"""As much of a gRPC server as gpuhub's own client asks: unary calls, without a package for it.

The face that Beam's SDK and runners need is in ``grpc_face.py`` and needs ``grpcio``; this one lets
the emulator take gpuhub's one gRPC call in any environment. Header fields must be literal and
plain, as gpuhub sends them; anything else ends the connection. The call is passed on as JSON, as
the other face does.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
from contextlib import suppress
from urllib.parse import urlsplit

from gpuhub_beam.unary import fields_of

__all__ = ["SmallGrpc"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _ACK, _END_HEADERS = 0x1, 0x1, 0x4
_NAMES = {"/function.FunctionService/FunctionSchedule": ("stubId", "when", "deploymentId")}
"""Methods, and the names of their message's texts."""


class SmallGrpc:
    """A listener on loopback.

    Args:
        url: Base address of the emulator, where calls are passed on to.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._listener = socket.create_server(("127.0.0.1", 0))

    def start(self) -> str:
        """Listen; give the address, ``host:port``."""
        threading.Thread(target=self._serve, name="gpuhub-beam-grpc", daemon=True).start()
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        """Listen no more. May be called twice."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError, ValueError, KeyError, IndexError):
                connection.settimeout(5.0)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        file = connection.makefile("rb")
        if file.read(len(_PREFACE)) != _PREFACE:
            return
        connection.sendall(_frame(_SETTINGS, 0, 0, b""))
        headers: dict[str, str] = {}
        data = b""
        while True:
            head = file.read(9)
            payload = file.read(int.from_bytes(head[:3], "big"))
            if head[3] == _SETTINGS and not head[4] & _ACK:
                connection.sendall(_frame(_SETTINGS, _ACK, 0, b""))
            elif head[3] == _HEADERS:
                headers = _literals(payload)
            elif head[3] == _DATA:
                data += payload
            if head[3] in (_HEADERS, _DATA) and head[4] & _END_STREAM:
                break
        status, answer = self._passed_on(headers, data[5:])
        connection.sendall(_frame(_HEADERS, _END_HEADERS, 1, _written({":status": "200"})))
        if status == 0:
            framed = struct.pack(">BI", 0, len(answer)) + answer
            connection.sendall(_frame(_DATA, 0, 1, framed))
        trailers = _written({"grpc-status": str(status)})
        connection.sendall(_frame(_HEADERS, _END_HEADERS | _END_STREAM, 1, trailers))
        while connection.recv(4096):  # what the client still says, until it closes
            pass

    def _passed_on(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Ask the emulator; give gRPC's status and the message."""
        route = headers[":path"]
        texts = {number: value for number, value in fields_of(body).items() if value}
        request = {
            name: texts[at].decode()  # type: ignore[union-attr]
            for at, name in enumerate(_NAMES[route], 1)
            if at in texts
        }
        connection = http.client.HTTPConnection(str(self._target.hostname), self._target.port)
        sent = {"Content-Type": "application/json", "authorization": headers["authorization"]}
        document = json.dumps({"request": request})
        connection.request("POST", f"/emulated-rpc{route}", document, sent)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        connection.close()
        if answer.status != 200:
            return int(found.get("code", 2)), b""
        return 0, _message(bool(found.get("ok")), str(found.get("errMsg", "")))


def _message(ok: bool, words: str) -> bytes:
    raw = words.encode()[:120]
    text = bytes([2 << 3 | 2, len(raw)]) + raw if raw else b""
    return (bytes([1 << 3, 1]) if ok else b"") + text


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _written(fields: dict[str, str]) -> bytes:
    return b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )


def _literals(payload: bytes) -> dict[str, str]:
    """Read header fields that are literal, not indexed and not compressed.

    Raises:
        ValueError: One is otherwise.
    """
    found, at = {}, 0
    while at < len(payload):
        if payload[at] != 0:
            raise ValueError("a header field that is not literal")
        name, at = _text(payload, at + 1)
        value, at = _text(payload, at)
        found[name] = value
    return found


def _text(payload: bytes, at: int) -> tuple[str, int]:
    length = payload[at]
    if length > 127:
        raise ValueError("a header field with Huffman codes")
    at += 1
    if length == 127:
        shift = 0
        while True:
            byte = payload[at]
            length += (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                break
    return payload[at : at + length].decode("ascii"), at + length
