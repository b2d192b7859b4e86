"""HTTP on loopback: blobs, and the addresses of web functions."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import math
import pickle
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator import HttpEmulator
from gpuhub.testing.emulator.waiting import wait_until
from gpuhub.testing.emulator.web import (
    Answer,
    Message,
    Receive,
    Request,
    Send,
    read_request,
    send_answer,
)
from gpuhub_modal.emulator.problems import Refused

if TYPE_CHECKING:
    from gpuhub_modal.emulator.calling import Calling
    from gpuhub_modal.emulator.calls import Call
    from gpuhub_modal.emulator.functions import Function
    from gpuhub_modal.emulator.site import Site
    from gpuhub_modal.emulator.store import Store

__all__ = ["Addresses"]

_NO_CREDENTIALS = b"modal-http: missing credentials for proxy authorization\n"
_WRONG_CREDENTIALS = b"modal-http: invalid credentials for proxy authorization\n"
_STOPPED = b"modal-http: app for invoked web endpoint is stopped\n"
_FAILED = b"modal-http: internal error: the function failed\n"


class Addresses:
    """Starts an HTTP server for whatever needs one, when it does.

    Args:
        site: What all parts share.
        store: Has the blobs.
        calling: Begins calls of web functions.
    """

    def __init__(self, site: Site, store: Store, calling: Calling) -> None:
        self._site = site
        self._store = store
        self._calling = calling
        self._blobs: HttpEmulator | None = None
        self._functions: dict[str, HttpEmulator] = {}

    def of_blob(self, blob_id: str) -> str:
        """Give where a blob is uploaded to and downloaded from."""
        if self._blobs is None:
            self._blobs = HttpEmulator(_Blobs(self._site, self._store))
            self._blobs.start()
        return f"{self._blobs.url}/{blob_id}"

    def of_function(self, function: Function) -> str:
        """Give the address of a web function: a port of its own, the same for all versions."""
        if function.id not in self._functions:
            server = HttpEmulator(_Site(self._site, self._calling, function))
            server.start()
            self._functions[function.id] = server
        return self._functions[function.id].url

    def stop(self) -> None:
        """Stop all servers."""
        servers = [*self._functions.values(), *filter(None, [self._blobs])]
        self._functions.clear()
        self._blobs = None
        for server in servers:
            server.stop()


class _Blobs:
    """Takes and gives the bytes of blobs.

    Args:
        site: What all parts share.
        store: Has them.
    """

    def __init__(self, site: Site, store: Store) -> None:
        self._site = site
        self._files = store.files

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        request = await read_request(scope, receive, Request)
        try:
            with self._site.change():
                answer = self._answer(request)
        except Refused as refused:
            answer = _plain(404, refused.message.encode())
        await send_answer(send, answer)

    def _answer(self, request: Request) -> Answer:
        blob_id = request.path.strip("/")
        if request.method != "PUT":
            return _plain(200, self._files.blob_content(blob_id))
        md5 = self._files.upload(blob_id, request.body)
        answer = _plain(200 if md5 else 400)
        answer.headers["ETag"] = f'"{md5}"'
        return answer


class _Site:
    """The address of one web function; every request is a call of it.

    Args:
        site: What all parts share.
        calling: Begins calls.
        function: The function.
    """

    def __init__(self, site: Site, calling: Calling, function: Function) -> None:
        self._site = site
        self._calling = calling
        self._function = function

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await send_answer(send, refusal)
            return
        with self._site.change():
            call = self._begin(scope)
        feeding = asyncio.ensure_future(self._feed(call, receive))
        try:
            await self._pass_on(call, send)
        finally:
            feeding.cancel()
            with self._site.change():
                if not call.is_over:
                    self._function.desk.cancel(call, kill=False)

    def _refusal(self, scope: Mapping[str, Any]) -> Answer | None:
        definition = self._function.definition
        if definition is None or self._function.is_stopped:
            return _plain(404, _STOPPED)
        if not definition.sent.webhook_config.requires_proxy_auth:
            return None
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        key, secret = headers.get(b"modal-key", ""), headers.get(b"modal-secret", "")
        if not key or not secret:
            return _plain(401, _NO_CREDENTIALS)
        known = self._site.options.proxy_tokens
        if known and not hmac.compare_digest(known.get(key, "").encode(), secret.encode()):
            return _plain(401, _WRONG_CREDENTIALS)
        return None

    def _begin(self, scope: Mapping[str, Any]) -> Call:
        pb = self._site.pb
        names = ("type", "http_version", "method", "scheme", "path", "query_string")
        shown = {name: scope[name] for name in names}
        own = (b"modal-key", b"modal-secret")
        shown["headers"] = [pair for pair in scope["headers"] if pair[0].lower() not in own]
        shown["client"] = tuple(scope.get("client") or ("127.0.0.1", 0))
        call = self._calling.begin(self._function, pb.FUNCTION_CALL_INVOCATION_TYPE_SYNC_LEGACY)
        sent = pb.FunctionInput(
            args=pickle.dumps(((shown,), {}), protocol=4), data_format=pb.DATA_FORMAT_PICKLE
        )
        self._calling.put(call, [pb.FunctionPutInputsItem(idx=0, input=sent)])
        return call

    async def _feed(self, call: Call, receive: Receive) -> None:
        """Hand the request's body to the application as it comes."""
        wire = self._site.wire
        async for part, is_more in _body(receive):
            with self._site.change():
                number = len(call.data_in) + 1
                call.data_in.append(wire.asgi_request(part, number, is_more=is_more))
                call.changed.fire()

    async def _pass_on(self, call: Call, send: Send) -> None:
        """Hand what the application sends to the client, as it comes."""
        begun = False
        async for message in self._messages(call):
            begun = begun or message["type"] == "http.response.start"
            with contextlib.suppress(OSError):
                await send(message)
        if not begun:
            await send_answer(send, _plain(500, _FAILED))

    async def _messages(self, call: Call) -> AsyncIterator[Message]:
        sent = 0

        def is_more() -> bool:
            return len(call.chunks) > sent or call.is_over

        while True:
            await self._on_site(
                wait_until(self._site, call.changed, is_more, math.inf),
            )
            chunks = call.chunks[sent:]
            sent += len(chunks)
            for chunk in chunks:
                message = self._site.wire.asgi_message(chunk)
                if message is not None:
                    yield message
            if not chunks:
                return

    async def _on_site(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Await something on the loop of the emulator; this server has its own."""
        loop = self._site.waker.loop
        if loop is None:
            work.close()
            raise RuntimeError("the emulator is not running")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


async def _body(receive: Receive) -> AsyncIterator[tuple[bytes, bool]]:
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        is_more = bool(message.get("more_body"))
        yield message.get("body", b""), is_more
        if not is_more:
            return


def _plain(status: int, body: bytes = b"") -> Answer:
    return Answer(status, body, content_type="")


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
