"""Plays ``beta9.runner`` (0.1.291) in a forked process: the same imports, calls and answers.

It is the child of :mod:`gpuhub.testing.emulator.nursery`, and stands alone: no gpuhub, so that the
uploaded code finds its own. What the real runner asks over gRPC it asks as JSON;
``tests/vendor/beam`` compares both.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import importlib
import inspect
import json
import os
import pickle
import signal
import socket
import sys
import time
import traceback
import types
from typing import Any
from urllib.parse import urlsplit

_CANCELLED, _TIMEOUT, _DISCONNECT = 3, 4, 5
_RESTARTED = (_CANCELLED, _TIMEOUT, _DISCONNECT, -signal.SIGUSR1)


WARM = (
    *("asyncio", "base64", "concurrent.futures", "contextvars", "dataclasses", "datetime"),
    *("decimal", "hashlib", "http.server", "importlib.util", "inspect", "pickle", "queue"),
    *("shutil", "subprocess", "tarfile", "tempfile", "typing", "urllib.request", "uuid"),
    *("starlette.applications", "starlette.middleware", "starlette.responses"),
    *("starlette.routing", "uvicorn", "uvicorn.lifespan.on", "uvicorn.loops.asyncio"),
    *("uvicorn.protocols.http.h11_impl", "uvicorn.protocols.websockets.websockets_sansio_impl"),
)
"""What a container needs, imported once instead of once for each."""


def prepare(paths: list[str]) -> None:
    """Have the server's packages found."""
    sys.path.extend(paths)


def become(order: dict[str, Any], descriptors: list[int]) -> int:
    """Be a container: run what was uploaded, on the socket that is handed over, if it serves."""
    sys.argv = ["-m"]
    sys.path.insert(0, order["folder"])
    return main(*descriptors)


def main(listener: int = -1) -> int:
    """Run a container's kind until it ends; give the exit code."""
    kind = os.environ["STUB_TYPE"].partition("/")[0]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if kind in ("endpoint", "asgi"):
        return _serve(kind, listener)
    if kind == "taskqueue":
        return _supervise()
    return _run_function()


class _Handler:
    """``beta9.runner.common.FunctionHandler``."""

    def __init__(self) -> None:
        module, _, name = os.environ["HANDLER"].partition(":")
        self.handler = getattr(importlib.import_module(module), name)
        target = getattr(self.handler, "func", self.handler)
        self.passes_context = "context" in inspect.signature(target).parameters
        self.is_async = inspect.iscoroutinefunction(target)
        self.on_start_value = _on_start()

    def __call__(self, task_id: str | None, *args: Any, **kwargs: Any) -> Any:
        if self.passes_context:
            kwargs["context"] = _context(task_id, self.on_start_value)
        os.environ["TASK_ID"] = task_id or ""
        return self.handler(*args, **kwargs)


def _on_start() -> Any:
    named = os.environ.get("ON_START", "")
    if not named:
        return None
    module, _, name = named.partition(":")
    value = getattr(importlib.import_module(module), name)()
    return asyncio.run(value) if inspect.iscoroutine(value) else value


def _context(task_id: str | None, on_start_value: Any) -> types.SimpleNamespace:
    environ = os.environ
    return types.SimpleNamespace(
        container_id=environ["CONTAINER_ID"],
        stub_id=environ["STUB_ID"],
        stub_type=environ["STUB_TYPE"],
        callback_url=environ.get("CALLBACK_URL", ""),
        task_id=task_id,
        timeout=int(environ.get("TIMEOUT", "180")),
        on_start_value=on_start_value,
        bind_port=int(environ.get("BIND_PORT", "0")),
        python_version=environ.get("PYTHON_VERSION", ""),
    )


# Requests


def _serve(kind: str, listener: int) -> int:
    import uvicorn

    handler = _Handler()
    app = _asgi(handler) if kind == "asgi" else _Endpoint(handler)
    settings: dict[str, Any] = {"log_config": None, "access_log": False, "loop": "asyncio"}
    config = uvicorn.Config(app, http="h11", ws="websockets-sansio", **settings)
    server = uvicorn.Server(config)
    with socket.socket(fileno=listener) as served:
        server.run(sockets=[served])
    return 0


def _asgi(handler: _Handler) -> Any:
    """Give the application, as the runner takes it, with what the runner puts around it."""
    made = getattr(handler.handler.func, "internal_asgi_app", None)
    app = handler(None) if made is None else made
    app.router.lifespan_context  # noqa: B018 - the real runner wraps it: no other kind will do
    return _Middleware(app)


class _Middleware:
    """The runner's route for health, and ``WebsocketTaskLifecycleMiddleware``."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/health":
            await _answer(send, 200, b"")
        elif scope["type"] == "websocket":
            await self._run_websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _run_websocket(self, scope: Any, receive: Any, send: Any) -> None:
        """Be a task from the handshake to the end; nobody else knows how it ended."""
        task_id = dict(scope["headers"]).get(b"x-task-id", b"").decode()
        if not task_id:
            await send({"type": "websocket.close", "code": 1008, "reason": "Task ID missing"})
            return
        status, began = "ERROR", time.time()
        try:
            await self._app(scope, receive, send)
            status = "COMPLETE"
        finally:
            await asyncio.get_running_loop().run_in_executor(None, _end, task_id, status, began)


def _end(task_id: str, status: str, began: float) -> None:
    facts = {"taskId": task_id, "containerId": os.environ["CONTAINER_ID"], "taskStatus": status}
    with contextlib.closing(_Gateway()) as gateway:
        method = "gateway.GatewayService/EndTask"
        gateway.call(method, **facts, taskDuration=time.time() - began)


class _Endpoint:
    """``EndpointManager``: GET and POST of ``/``."""

    def __init__(self, handler: _Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["path"] == "/health":
            await _answer(send, 200, b"")
            return
        headers = dict(scope["headers"])
        payload = json.loads(await _body(receive))
        result, status = await self._call(headers.get(b"x-task-id", b"").decode(), payload)
        if hasattr(result, "__aiter__") or isinstance(result, types.GeneratorType):
            await _stream(result, receive, send)
        elif hasattr(result, "body_iterator") or callable(getattr(result, "render", None)):
            await result(scope, receive, send)  # a Response of Starlette's
        else:
            await _answer(send, *_encoded(result, status))

    async def _call(self, task_id: str, payload: dict[str, Any]) -> tuple[Any, int]:
        args, kwargs = payload.get("args") or [], payload.get("kwargs") or {}
        try:
            result = self._handler(task_id, *args, **kwargs)
            return (await result if self._handler.is_async else result), 200
        except BaseException:  # noqa: BLE001 - as the runner does
            text = traceback.format_exc()
            sys.stdout.write(text)
            return {"error": text}, 500


def _encoded(result: Any, status: int) -> tuple[int, bytes]:
    try:
        text = json.dumps(result, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except Exception:  # noqa: BLE001 - as the runner does
        return 500, json.dumps({"error": traceback.format_exc()}).encode()
    return status, str(text).encode("utf-8")


async def _body(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(result: Any, receive: Any, send: Any) -> None:
    """Send items as they come; stop when the caller is gone, as Starlette does."""
    headers = [
        (b"cache-control", b"no-cache"),
        (b"connection", b"keep-alive"),
        (b"content-type", b"text/plain; charset=utf-8"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    sending = asyncio.ensure_future(_send_items(result, send))
    leaving = asyncio.ensure_future(_left(receive))
    await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    sending.cancel()
    await asyncio.wait([sending])
    if not sending.cancelled() and (error := sending.exception()) is not None:
        raise error


async def _send_items(result: Any, send: Any) -> None:
    async for item in _items(result):
        document = item if isinstance(item, dict) else {"data": item}
        body = f"data: {json.dumps(document)}\n\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _items(result: Any) -> Any:
    if hasattr(result, "__aiter__"):
        async for item in result:
            yield item
        return
    loop = asyncio.get_running_loop()
    end = object()
    while True:
        item = await loop.run_in_executor(None, next, result, end)
        if item is end:
            return
        yield item


# Queues


class _Gateway:
    """Asks the gateway, on one connection that is kept."""

    def __init__(self) -> None:
        address = urlsplit(os.environ["BEAM_EMULATOR_URL"])
        self._connection = http.client.HTTPConnection(str(address.hostname), address.port)
        self._headers = {
            "Authorization": f"Bearer {os.environ['BETA9_TOKEN']}",
            "Content-Type": "application/json",
        }

    def call(self, method: str, **request: Any) -> dict[str, Any]:
        body = json.dumps({"request": request})
        self._connection.request("POST", f"/emulated-rpc/{method}", body, self._headers)
        answer = self._connection.getresponse()
        document: dict[str, Any] = json.loads(answer.read())
        return document

    def close(self) -> None:
        self._connection.close()


def _supervise() -> int:
    """Keep as many workers as asked for; start those again that were interrupted."""
    count = max(1, int(os.environ.get("WORKERS", "1")))
    children = {_fork_worker() for _ in range(count)}
    while True:
        pid, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        children.discard(pid)
        if code not in _RESTARTED:
            for child in children:
                os.kill(child, signal.SIGKILL)
            return code if code > 0 else 1
        children.add(_fork_worker())


def _fork_worker() -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _work()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 1
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _work() -> None:
    handler = _Handler()
    gateway = _Gateway()
    facts = {"stubId": os.environ["STUB_ID"], "containerId": os.environ["CONTAINER_ID"]}
    pop = "taskqueue.TaskQueueService/TaskQueuePop"
    while True:
        answer = gateway.call(pop, **facts, wait=True, pid=os.getpid())
        if answer.get("taskMsg"):
            _run_task(handler, gateway, facts, json.loads(base64.b64decode(answer["taskMsg"])))


def _run_task(
    handler: _Handler, gateway: _Gateway, facts: dict[str, str], task: dict[str, Any]
) -> None:
    began = time.time()
    status, result = "COMPLETE", None
    try:
        result = handler(task["task_id"], *(task["args"] or []), **(task["kwargs"] or {}))
    except BaseException as error:  # noqa: BLE001 - as the runner does
        sys.stdout.write(traceback.format_exc())
        retried = handler.handler.parent.retry_for
        status = "RETRY" if any(type(error) is each for each in retried) else "ERROR"
    request: dict[str, Any] = {
        **facts,
        "taskId": task["task_id"],
        "taskStatus": status,
        "taskDuration": time.time() - began,
        "keepWarmSeconds": float(os.environ.get("KEEP_WARM_SECONDS", "10")),
    }
    if result:  # what counts as false is lost here, as in the runner
        request["result"] = _serialized(result)
    gateway.call("taskqueue.TaskQueueService/TaskQueueComplete", **request)


def _serialized(result: Any) -> str | None:
    try:
        return base64.b64encode(json.dumps(result).encode()).decode()
    except Exception:  # noqa: BLE001 - as the runner does
        sys.stdout.write(f"Warning - Error serializing task result: {traceback.format_exc()}\n")
        return None


# Functions


def _run_function() -> int:
    gateway = _Gateway()
    task_id = os.environ["TASK_ID"]
    facts = {"taskId": task_id, "containerId": os.environ["CONTAINER_ID"]}
    began = time.time()
    if not gateway.call("gateway.GatewayService/StartTask", **facts).get("ok"):
        return 1
    try:
        handler = _Handler()
        answer = gateway.call("function.FunctionService/FunctionGetArgs", taskId=task_id)
        payload = json.loads(base64.b64decode(answer["args"]))
        kwargs = {**(payload.get("kwargs") or {})}
        kwargs.pop("callback_url", None)
        result = handler(task_id, *(payload.get("args") or []), **kwargs)
        result = asyncio.run(result) if handler.is_async else result
        encoded = base64.b64encode(pickle.dumps(result)).decode()
        status, code = "COMPLETE", 0
    except BaseException as error:  # noqa: BLE001 - as the runner does
        sys.stdout.write(traceback.format_exc())
        encoded = base64.b64encode(json.dumps({"error": str(error)}).encode()).decode()
        status, code = "ERROR", 1
    ends = {"taskDuration": time.time() - began, "taskStatus": status, "result": encoded}
    gateway.call("gateway.GatewayService/EndTask", **facts, **ends)
    return code
