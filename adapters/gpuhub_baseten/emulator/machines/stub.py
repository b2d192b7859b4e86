"""Plays Truss's inference server: loads ``model/model.py`` and calls it as that does.

Runs in a forked process, see ``child.py``: standard library, starlette and uvicorn only.
Behaviour as of truss 0.18.35, ``templates/server`` (read 2026-11). Left out: pydantic inputs,
msgpack bodies, websockets, extensions, ``setup_environment`` after the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import inspect
import json
import os
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from typing_extensions import override

__all__ = ["Server", "serve"]

_MODEL_ERROR = "Internal Server Error (in model/chainlet)."
_PREDICT = ("/v1/models/model:predict", "/v1/models/model:predict_binary", "/invocations")
_OTHERS = {
    "/v1/chat/completions": "chat_completions",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
    "/v1/messages": "messages",
    "/v1/responses": "responses",
}
_LOADS = 2
"""Truss tries a failed ``load()`` once more."""


class SecretNotFound(Exception):  # noqa: N818 - Truss's own name
    """A secret that is not declared, or that the workspace does not have."""


class Secrets(Mapping[str, str]):
    """What ``__init__`` gets as ``secrets``."""

    def __init__(self, declared: Mapping[str, Any], values: Mapping[str, str]) -> None:
        self._declared = declared
        self._values = values

    @override
    def __getitem__(self, name: str) -> str:
        value = self._values.get(name) or self._declared.get(name)
        if name not in self._declared or not value:
            raise SecretNotFound(f"Secret '{name}' not found.")
        return value

    @override
    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError("Secrets are meant for lookup and can't be iterated on")

    @override
    def __len__(self) -> int:
        return len(self._declared)


class Refusal(Exception):  # noqa: N818 - it is an answer
    """An answer of the server's own that is an error."""

    def __init__(self, status: int, words: str, code: int) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.code = code


class Server:
    """One server with one model.

    Args:
        order: ``root``, ``config``, ``secrets`` and ``environment``.
    """

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._order = order
        self._config: Mapping[str, Any] = order["config"]
        self._model: Any = None
        self._state = "loading"
        limit = self._config.get("runtime", {}).get("predict_concurrency", 1)
        self._free = asyncio.Semaphore(limit)
        self.server: uvicorn.Server | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, or live along with the server."""
        if scope["type"] == "lifespan":
            await receive()
            threading.Thread(target=self._load, daemon=True).start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["type"] == "http":
            request = Request(scope, receive)
            answer, done = await self._answered(request)
            try:
                await answer(scope, receive, send)
            finally:
                done()

    # Loading

    def _load(self) -> None:
        try:
            self._model = self._made()
            self._prepare_environment()
            if hasattr(self._model, "load"):
                self._tried(self._model.load)
            self._state = "ready"
        except BaseException:  # noqa: BLE001 - told in the log, as Truss does
            traceback.print_exc()
            print("Exception while loading model", flush=True)  # noqa: T201 - the log
            self._state = "failed"
            if self.server is not None:
                self.server.should_exit = True

    def _tried(self, load: Callable[[], Any]) -> None:
        for left in reversed(range(_LOADS)):
            try:
                load()
            except Exception:
                if not left:
                    raise
                print("Failed to load model. Retrying...", flush=True)  # noqa: T201 - the log
            else:
                return

    def _made(self) -> Any:
        place = Path("model") / self._config["model_class_filename"]
        if not place.exists():
            raise RuntimeError("No module class file found")
        path = place.resolve()
        name = f"model.{path.stem}" if path.stem == "model" else path.stem
        spec = importlib.util.spec_from_file_location(name, place.absolute())
        if spec is None or spec.loader is None:
            raise ImportError(f"Could not import `{place}`. Check path.")
        module = importlib.util.module_from_spec(spec)
        if "." in name:
            module.__package__ = None  # top-level relative imports are not supported
        sys.modules[name] = module
        spec.loader.exec_module(module)
        model_class = getattr(module, self._config["model_class_name"])
        given = {
            "config": dict(self._config),
            "data_dir": Path("data"),
            "secrets": Secrets(self._config.get("secrets", {}), self._order["secrets"]),
            "environment": self._environment(),
            "lazy_data_resolver": None,
        }
        return model_class(**_accepted(model_class, given))

    def _environment(self) -> dict[str, str] | None:
        name = self._order["environment"]
        return {"name": name} if name else None

    def _prepare_environment(self) -> None:
        environment = self._environment()
        if environment is not None and hasattr(self._model, "setup_environment"):
            self._model.setup_environment(environment)

    # Answering

    async def _answered(self, request: Request) -> tuple[Any, Callable[[], None]]:
        """Give the answer, and what to do when it is sent."""
        released: list[Callable[[], None]] = []

        def done() -> None:
            while released:
                released.pop()()

        try:
            return await self._route(request, released), done
        except Refusal as refusal:
            done()
            return _told(refusal), done
        except Exception as error:  # noqa: BLE001 - Truss's fallback
            done()
            words = f"Unhandled exception: {type(error).__name__}: {error}"
            return _told(Refusal(500, words, 500)), done

    async def _route(self, request: Request, released: list[Callable[[], None]]) -> Any:
        path, method = request.url.path, request.method
        if method == "GET" and path == "/":
            return JSONResponse(True)
        if method == "GET" and path in ("/v1/models/model", "/v1/models/model/loaded", "/ping"):
            await self._check_health(is_deep=path == "/v1/models/model")
            return JSONResponse({})
        if method == "POST" and path in _PREDICT:
            return await self._predict(request, released)
        if method == "POST" and path in _OTHERS:
            return await self._other(request, _OTHERS[path])
        raise Refusal(404, "Not Found", 600)

    async def _check_health(self, *, is_deep: bool = False) -> None:
        if self._state == "failed":
            os._exit(137)
        if self._state != "ready":
            raise Refusal(503, "Model with name model is not ready.", 600)
        check = getattr(self._model, "is_healthy", None)
        if is_deep and check is not None:
            healthy = check()
            if inspect.isawaitable(healthy):
                healthy = await healthy
            if not healthy:
                raise Refusal(503, "Model with name model is not ready.", 600)

    async def _predict(self, request: Request, released: list[Callable[[], None]]) -> Any:
        body = await request.body()
        await self._check_health()
        predict = self._model.predict
        inputs = None if _takes(predict) == "request" else _parsed(body)
        if hasattr(self._model, "preprocess"):
            inputs = await self._called(self._model.preprocess, inputs, request)
        await self._free.acquire()
        released.append(self._free.release)
        result = await self._called(predict, inputs, request)
        if inspect.isgenerator(result) or inspect.isasyncgen(result):
            return await self._streamed(result, request, released)
        if isinstance(result, Response):
            return _marked(result)
        while released:
            released.pop()()
        if hasattr(self._model, "postprocess"):
            result = await self._called(self._model.postprocess, result, request)
        return _serialized(result)

    async def _other(self, request: Request, name: str) -> Any:
        body = await request.body()
        await self._check_health()
        method = getattr(self._model, name, None)
        if method is None:
            raise Refusal(404, f"`{name}` must only be called if model has it.", 700)
        result = await self._called(method, _parsed(body), request)
        if inspect.isgenerator(result) or inspect.isasyncgen(result):
            return await self._streamed(result, request, [])
        return _marked(result) if isinstance(result, Response) else _serialized(result)

    async def _called(self, method: Any, inputs: Any, request: Request) -> Any:
        if await request.is_disconnected():
            raise Refusal(499, f"Client disconnected, skipping `{method.__name__}`.", 600)
        kind = _takes(method)
        arguments: tuple[Any, ...] = {
            "none": (),
            "request": (request,),
            "both": (inputs, request),
        }.get(kind, (inputs,))
        try:
            if inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method):
                return method(*arguments)
            if inspect.iscoroutinefunction(method):
                return await method(*arguments)
            return await run_in_threadpool(method, *arguments)
        except Exception as error:
            traceback.print_exc()
            status = getattr(error, "status_code", None)
            if isinstance(status, int):  # fastapi's and starlette's HTTPException
                raise Refusal(status, str(getattr(error, "detail", error)), 600) from error
            raise Refusal(500, _MODEL_ERROR, 600) from error

    async def _streamed(
        self, items: Any, request: Request, released: list[Callable[[], None]]
    ) -> Any:
        """Send what a generator gives as it comes; it runs on to its end though nobody reads."""
        agent = request.headers.get("user-agent", "").lower()
        if request.headers.get("accept") == "application/json" and "openai" not in agent:
            pieces = [_bytes(piece) async for piece in _as_async(items)]
            return _serialized(b"".join(pieces).decode())
        queue: asyncio.Queue[Any] = asyncio.Queue()
        release = released.pop() if released else lambda: None

        async def produce() -> None:
            try:
                async for piece in _as_async(items):
                    await queue.put(piece)
            except Exception:  # noqa: BLE001 - told in the log: the stream just ends
                traceback.print_exc()
            finally:
                release()
                await queue.put(None)

        task = asyncio.get_running_loop().create_task(produce())
        limit = self._config.get("runtime", {}).get("streaming_read_timeout", 60)

        async def consume() -> AsyncIterator[Any]:
            while (piece := await asyncio.wait_for(queue.get(), limit)) is not None:
                yield piece
            await task

        return StreamingResponse(consume(), media_type="application/octet-stream")


def serve(order: Mapping[str, Any], listener: socket) -> None:
    """Serve until the process is killed; an unloadable model ends it with 0, as Truss does."""
    app = Server(order)
    config = uvicorn.Config(
        app, http="h11", ws="none", loop="asyncio", log_config=None, access_log=False
    )
    app.server = uvicorn.Server(config)
    with contextlib.suppress(KeyboardInterrupt):
        app.server.run(sockets=[listener])


def _accepted(model_class: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Keep what ``__init__`` takes."""
    parameters = inspect.signature(model_class).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return given
    return {name: value for name, value in given.items() if name in parameters}


def _takes(method: Any) -> str:
    """What a method wants: ``none``, ``inputs``, ``request`` or ``both``."""
    parameters = list(inspect.signature(method).parameters.values())
    if not parameters:
        return "none"
    if len(parameters) == 2:
        return "both"
    annotation = parameters[0].annotation
    is_request = inspect.isclass(annotation) and issubclass(annotation, Request)
    return "request" if is_request else "inputs"


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise Refusal(400, f"Invalid JSON payload: {error}", 700) from None


def _serialized(result: Any) -> Response:
    return Response(json.dumps(result), headers={"content-type": "application/json"})


def _marked(response: Response) -> Response:
    if response.status_code >= 300:
        response.headers.update(_error_headers(700))
    return response


def _told(refusal: Refusal) -> Response:
    headers = _error_headers(refusal.code)
    return JSONResponse({"error": refusal.words}, refusal.status, headers=headers)


def _error_headers(code: int) -> dict[str, str]:
    return {"X-BASETEN-ERROR-SOURCE": "04", "X-BASETEN-ERROR-CODE": f"{code:03}"}


def _bytes(piece: Any) -> bytes:
    return bytes(piece) if isinstance(piece, bytes | bytearray) else str(piece).encode()


async def _as_async(items: Any) -> AsyncIterator[Any]:
    """Iterate over a generator of either kind; a plain one on threads."""
    if inspect.isasyncgen(items):
        async for item in items:
            yield item
        return
    ended = object()

    def step() -> Awaitable[Any]:
        return run_in_threadpool(next, items, ended)

    while (item := await step()) is not ended:
        yield item
