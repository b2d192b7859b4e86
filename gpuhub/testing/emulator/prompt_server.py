"""A uvicorn server that ends within milliseconds; needs the extra ``emulator``.

uvicorn looks every 0.1 s whether it should end, and then waits as long again for its connections. A
test suite that starts an emulator for each test would spend most of its time there.
"""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from typing_extensions import override

__all__ = ["PromptServer"]

_TICK_S = 1.0  # how often uvicorn renews its date header
_LEAVE_S = 0.05  # for requests under way to see that their client is gone
_TURNS = 6  # accepted, made a transport, made a connection, cut, closed; and one to spare


class PromptServer(uvicorn.Server):
    """Stops at once when told so from another thread, and cuts off requests under way."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Stop; callable from every thread, also when it has stopped already."""
        self.should_exit = self.force_exit = True
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._ended.set)

    @override
    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            try:
                await asyncio.wait_for(self._ended.wait(), _TICK_S)
            except TimeoutError:
                continue

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        listeners = [listener for server in self.servers for listener in server.sockets]
        for listener in listeners:
            loop.remove_reader(listener.fileno())
        # Only then: asyncio forgets clients it accepted, sockets open, once their server is closed.
        await self._cut_connections()
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        if under_way := set(self.server_state.tasks):
            await asyncio.wait(under_way, timeout=_LEAVE_S)  # the rest is cancelled with the loop

    async def _cut_connections(self) -> None:
        # A client accepted just now becomes a connection only some turns of the loop later: left
        # alone, its socket would stay open until it is garbage, and the client would wait on it.
        for _turn in range(_TURNS):
            for connection in list(self.server_state.connections):
                if connection.transport.is_closing():  # its client does not read what is left
                    connection.transport.abort()
                    continue
                connection.shutdown()
                if not connection.transport.is_closing():  # a request is under way
                    connection.transport.abort()
            await asyncio.sleep(0)
