"""Websockets of deployments: ``handleWSRequest`` of the gateway (beta9 at 0b79dfe).

A websocket is a request like others until a container has it: the same token, refusals and wait.
Then the gateway accepts it, asks the container for one with nothing but the path, the query and
``X-TASK-ID``, and passes on what comes, without a limit of time or size. Whatever the container
says to the handshake, the client was accepted: when it is refused its connection just ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.web import drop_connection
from gpuhub_beam.emulator.problems import Problem
from gpuhub_beam.emulator.web import Answer, Request

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from gpuhub.testing.emulator.web import Message, Receive, Send
    from gpuhub_beam.emulator.containers import Container
    from gpuhub_beam.emulator.planes.calls import Calls
    from gpuhub_beam.emulator.tasks import Task

__all__ = ["Handshake", "Opened", "Sockets"]

_REQUESTS = ("endpoint", "asgi")
_WITHOUT_CODE = (1005, 1006)


@dataclass
class Opened(Answer):
    """A websocket that a container has, instead of an answer.

    Attributes:
        run: Accepts it, and passes on what comes until it is closed.
    """

    run: Callable[[Send], Awaitable[None]] = field(kw_only=True)


class Handshake:
    """Lets a request for a websocket be answered as others are.

    Args:
        send: The server's own.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.transport = getattr(getattr(send, "__self__", None), "transport", None)

    async def send(self, message: Message) -> None:
        """Send one message; those of an answer refuse the websocket."""
        kind = message["type"]
        if kind.startswith("http.response."):
            message = {**message, "type": f"websocket.{kind}"}
        await self._send(message)


class Sockets:
    """``/asgi/…`` where a websocket is asked for.

    The operation is ``websocket``. Of the faults on it ``lost_response`` drops the connection right
    after the handshake, with code ``halfway`` after the application's first message; ``crash`` and
    ``timeout`` concern the container, the others refuse.

    Args:
        calls: Finds deployments and containers.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def handle(self, request: Request, kind: str, rest: str) -> Answer:
        """Wait until a container has it."""
        stub, path = self._calls.meant(kind, rest)
        if kind not in _REQUESTS or (kind == "endpoint" and path):
            raise Problem(404 if path else 405, "Not Found" if path else "Method Not Allowed")
        if request.fault is not None and request.fault.kind == "malformed":
            return Answer()
        desk, task = self._calls.submit(request, stub, {})
        container = await self._calls.container(request, desk, task)

        async def run(send: Send) -> None:
            try:
                await _Relay(request, task, send).run(container, path, self._calls.ended)
            finally:
                self._calls.leave(desk, task, 502 if container.is_stopped else 200)

        return Opened(run=run)


class _Relay:
    """One websocket.

    Args:
        request: Asks for it.
        task: What it is for the gateway.
        send: Sends to the client.
    """

    def __init__(self, request: Request, task: Task, send: Send) -> None:
        self._request = request
        self._task = task
        self._receive: Receive = request.receive
        self._send = send
        fault = request.fault
        self._drops = fault is not None and fault.kind == "lost_response"
        self._drops_halfway = self._drops and fault is not None and fault.code == "halfway"

    async def run(
        self,
        container: Container,
        path: str,
        ended: Callable[[Task, Container], Awaitable[None]],
    ) -> None:
        """Live from the handshake to the end."""
        await self._send({"type": "websocket.accept"})
        if self._task.hangs or self._task.crashes or container.machine is None:
            await _first(self._leaving(), ended(self._task, container))
        elif not self._drops or self._drops_halfway:
            link = await self._dialled(container.machine.port, path)
            if link is not None:
                try:
                    if await _first(self._inward(link), self._outward(link)):
                        return
                finally:
                    link.transport.abort()
        await drop_connection(self._send, Answer(), halfway=False)

    async def _dialled(self, port: int, path: str) -> ClientConnection | None:
        """Ask the container; ``None``: it does not want it."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidHandshake

        query = f"?{self._request.raw_query}" if self._request.raw_query else ""
        with suppress(OSError, EOFError, InvalidHandshake):
            return await connect(
                f"ws://127.0.0.1:{port}/{path}{query}",
                additional_headers={"X-TASK-ID": self._task.id},
                compression=None,
                max_size=None,
                open_timeout=None,
                ping_interval=None,
                proxy=None,
                user_agent_header=None,
            )
        return None

    async def _inward(self, link: ClientConnection) -> bool:
        """Pass on what the client sends, its close included."""
        while (message := await self._receive())["type"] == "websocket.receive":
            text = message.get("text")
            await link.send(message["bytes"] if text is None else text)
        code = message.get("code") or 1005
        if code not in _WITHOUT_CODE:
            await link.close(code, message.get("reason") or "")
        return True

    async def _outward(self, link: ClientConnection) -> bool:
        """Pass on what the container sends; tell whether it closed the websocket properly."""
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                message = await link.recv()
                name = "text" if isinstance(message, str) else "bytes"
                await self._send({"type": "websocket.send", name: message})
                if self._drops_halfway:
                    return False
        except ConnectionClosed as closed:
            if closed.rcvd is None:
                return False
            code = 1000 if closed.rcvd.code in _WITHOUT_CODE else closed.rcvd.code
            close = {"type": "websocket.close", "code": code, "reason": closed.rcvd.reason}
            await self._send(close)
        return True

    async def _leaving(self) -> bool:
        while (await self._receive())["type"] != "websocket.disconnect":
            pass
        return True


async def _first(*actions: Awaitable[bool | None]) -> bool:
    """Do both until one is done; tell what it gives. A client that is gone is no error."""
    under_way = [asyncio.ensure_future(each) for each in actions]
    try:
        done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in under_way:
            each.cancel()
        await asyncio.wait(under_way)
    with suppress(OSError):
        return all(each.result() for each in done)
    return True
