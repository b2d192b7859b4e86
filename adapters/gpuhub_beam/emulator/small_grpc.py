"""As much of a gRPC server as gpuhub's own client asks for; needs ``grpcio``.

The face that Beam's SDK and runners need is in ``grpc_face.py``, in a process with beta9. This one
lets the emulator take gpuhub's one gRPC call in this process, and passes it on as JSON, as the
other face does.
"""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from gpuhub_beam.unary import fields_of, require_grpc

__all__ = ["SmallGrpc"]

_NAMES = {"/function.FunctionService/FunctionSchedule": ("stubId", "when", "deploymentId")}
"""Methods, and the names of their message's texts."""


class SmallGrpc:
    """A server on loopback.

    Args:
        url: Base address of the emulator, where calls are passed on to.

    Raises:
        AdapterNotInstalled: ``grpcio`` is not installed.
    """

    def __init__(self, url: str) -> None:
        self._grpc = require_grpc()
        self._target = urlsplit(url)
        self._threads = ThreadPoolExecutor(1, "gpuhub-beam-grpc")
        self._server = self._grpc.server(self._threads)
        handlers = {
            route.rpartition("/")[2]: self._grpc.unary_unary_rpc_method_handler(
                self._handler(route)
            )
            for route in _NAMES
        }
        service = next(iter(_NAMES)).split("/")[1]
        generic = self._grpc.method_handlers_generic_handler(service, handlers)
        self._server.add_generic_rpc_handlers((generic,))

    def start(self) -> str:
        """Listen; give the address, ``host:port``."""
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return f"127.0.0.1:{port}"

    def stop(self) -> None:
        """Listen no more. May be called twice."""
        self._server.stop(None).wait()
        self._threads.shutdown()

    def _handler(self, route: str) -> Any:
        def handle(body: bytes, context: Any) -> bytes:
            headers = dict(context.invocation_metadata())
            status, found = self._passed_on(route, headers.get("authorization", ""), body)
            if status != 200:
                context.abort(
                    self._status(int(found.get("code", 2))), str(found.get("message", ""))
                )
            return _message(bool(found.get("ok")), str(found.get("errMsg", "")))

        return handle

    def _status(self, number: int) -> Any:
        codes = {code.value[0]: code for code in self._grpc.StatusCode}
        return codes.get(number, self._grpc.StatusCode.UNKNOWN)

    def _passed_on(self, route: str, authorization: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Ask the emulator; give its status and answer."""
        texts = {number: value for number, value in fields_of(body).items() if value}
        request = {
            name: texts[at].decode()  # type: ignore[union-attr]
            for at, name in enumerate(_NAMES[route], 1)
            if at in texts
        }
        connection = http.client.HTTPConnection(str(self._target.hostname), self._target.port)
        sent = {"Content-Type": "application/json", "authorization": authorization}
        document = json.dumps({"request": request})
        connection.request("POST", f"/emulated-rpc{route}", document, sent)
        answer = connection.getresponse()
        found: dict[str, Any] = json.loads(answer.read())
        connection.close()
        return answer.status, found


def _message(ok: bool, words: str) -> bytes:
    raw = words.encode()[:120]
    text = bytes([2 << 3 | 2, len(raw)]) + raw if raw else b""
    return (bytes([1 << 3, 1]) if ok else b"") + text
