"""Serves the gateway's gRPC and passes each call on to the emulator as JSON over HTTP.

A script for an interpreter that has ``beta9``: it takes routes and messages from the stubs of the
installed SDK, so it follows its upgrades. Prints its address; ends when its input does.
"""

# ruff: noqa: T201 - a script

from __future__ import annotations

import http.client
import importlib
import json
import pkgutil
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# By name: what only an environment of its own has is no import of this project's.
betterproto: Any = importlib.import_module("betterproto")
clients: Any = importlib.import_module("beta9.clients")
grpc: Any = importlib.import_module("grpc")


_THREADS = 128
_LARGEST = 64 * 1024 * 1024
_STATUS = {code.value[0]: code for code in grpc.StatusCode}
_PASSED = ("authorization", "x-beta9-caller")
_MAKERS = ("_unary_unary", "_unary_stream", "_stream_unary", "_stream_stream")


class Recorder:
    """Stands for a channel's call makers: notes what each method takes and gives."""

    def __init__(self, kind: str, found: dict[str, Any]) -> None:
        self.kind = kind
        self.found = found

    def __call__(self, route: str, request_type: Any, response_type: Any) -> Any:
        """Note one method."""
        self.found[route] = (self.kind, request_type, response_type)
        return lambda *_args, **_kwargs: iter(())


def methods() -> dict[str, Any]:
    """Give every method of the installed SDK's stubs, by its route."""
    found: dict[str, Any] = {}
    folders = [str(Path(each)) for each in clients.__path__]
    for module_info in pkgutil.walk_packages(folders, "beta9.clients."):
        module = importlib.import_module(module_info.name)
        for name, stub_type in vars(module).items():
            if not name.endswith("ServiceStub") or stub_type.__module__ != module.__name__:
                continue
            stub = stub_type(None)
            for maker in _MAKERS:
                setattr(stub, maker, Recorder(maker.lstrip("_"), found))
            for method in dir(stub_type):
                if not method.startswith("_"):
                    _touch(stub, method)
    return found


def _touch(stub: Any, method: str) -> None:
    """Call a method of a stub whose call makers only take notes."""
    try:
        result = getattr(stub, method)(None)
        if hasattr(result, "__next__"):
            next(result, None)
    except Exception:  # noqa: BLE001, S110 - only its notes matter
        pass


class Emulator:
    """The other end; a connection for each thread."""

    def __init__(self, url: str) -> None:
        self.address = urlsplit(url)
        self.local = threading.local()

    def ask(self, route: str, document: Any, metadata: Any) -> tuple[Any, Any]:
        """POST a call; give the answer, its body unread."""
        passed = {name: value for name, value in metadata if name in _PASSED}
        headers = {"Content-Type": "application/json", **passed}
        body = json.dumps(document)
        path = f"/emulated-rpc{route}"
        for is_last in (False, True):
            connection = getattr(self.local, "connection", None)
            if connection is None or is_last:
                connection = self.local.connection = self.fresh()
            try:
                connection.request("POST", path, body, headers)
                return connection, connection.getresponse()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if is_last:
                    raise
        raise AssertionError

    def fresh(self) -> http.client.HTTPConnection:
        """Give a new connection."""
        return http.client.HTTPConnection(str(self.address.hostname), self.address.port)


class Face:
    """Answers every method of the SDK's stubs."""

    def __init__(self, emulator: Emulator, known: dict[str, Any]) -> None:
        self.emulator = emulator
        self.known = known

    def service(self, details: Any) -> Any:
        """Give the handler of a route."""
        if details.method not in self.known:
            return None
        kind, request_type, response_type = self.known[details.method]
        options = {
            "request_deserializer": request_type.FromString,
            "response_serializer": bytes,
        }

        def unary(request: Any, context: Any) -> Any:
            return self.unary(details.method, _single(request), response_type, context)

        def collected(requests: Any, context: Any) -> Any:
            sent = [each.to_dict() for each in requests]
            return self.unary(details.method, {"requests": sent}, response_type, context)

        def stream(request: Any, context: Any) -> Any:
            yield from self.stream(details.method, _single(request), response_type, context)

        if kind == "unary_unary":
            return grpc.unary_unary_rpc_method_handler(unary, **options)
        if kind == "stream_unary":
            return grpc.stream_unary_rpc_method_handler(collected, **options)
        if kind == "unary_stream":
            return grpc.unary_stream_rpc_method_handler(stream, **options)
        return None

    def unary(self, route: str, document: Any, response_type: Any, context: Any) -> Any:
        """Pass on a call with one answer."""
        _, answer = self.emulator.ask(route, document, context.invocation_metadata())
        body = answer.read()
        if answer.status == 404:  # a method the emulator does not play: enough for most
            return _made(response_type, {"ok": True})
        found = json.loads(body)
        if answer.status != 200:
            _abort(context, found)
        return _made(response_type, found)

    def stream(self, route: str, document: Any, response_type: Any, context: Any) -> Iterator[Any]:
        """Pass on a call with a stream of answers, on a connection of its own."""
        self.emulator.local.connection = None
        connection, answer = self.emulator.ask(route, document, context.invocation_metadata())
        context.add_callback(connection.close)
        self.emulator.local.connection = None
        if answer.status != 200:
            _abort(context, json.loads(answer.read() or b"{}"))
        while line := answer.readline():
            found = json.loads(line)
            if "error" in found:
                _abort(context, found["error"])
            yield _made(response_type, found["result"])


def _single(request: Any) -> dict[str, Any]:
    return {"request": request.to_dict()}


def _made(message_type: Any, document: Mapping[str, Any]) -> Any:
    known = message_type()._betterproto.meta_by_field_name  # noqa: SLF001 - what it has no name for
    names = {betterproto.casing.camel_case(name): name for name in known}
    fields = {name: value for name, value in document.items() if name in names or name in known}
    return message_type().from_dict(fields)


def _abort(context: Any, problem: Mapping[str, Any]) -> None:
    code = _STATUS.get(problem.get("code", 2), grpc.StatusCode.UNKNOWN)
    context.abort(code, problem.get("message", ""))


def main() -> None:
    """Serve until the input ends."""
    options = [
        ("grpc.max_receive_message_length", _LARGEST),
        ("grpc.max_send_message_length", _LARGEST),
    ]
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=options)
    server.add_generic_rpc_handlers((Face(Emulator(sys.argv[1]), methods()),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(0)


if __name__ == "__main__":
    main()
