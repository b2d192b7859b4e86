"""Serves gRPC on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.http import listening
from gpuhub.testing.emulator.waiting import Pacer

if TYPE_CHECKING:
    from gpuhub_modal.emulator.site import Site

__all__ = ["GrpcServer"]

_START_S = 30.0
_CUT_TURNS = 5
"""Of the loop, until what is cut is gone, and what was accepted is cut."""


class GrpcServer:
    """One server on ``127.0.0.1``, until it is stopped.

    Args:
        site: What all parts share; its loop is the server's.
        answers: Gives the coroutine functions by name of the RPC.
        port: Port to listen on; 0 takes a free one.
    """

    def __init__(
        self, site: Site, answers: Callable[[], dict[str, Callable[[Any], Any]]], port: int
    ) -> None:
        self._site = site
        self._answers = answers
        self._port = port
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """Base URL without a slash at its end."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> str:
        """Listen and give the base URL. Once started, this gives it again.

        Raises:
            OSError: The port is taken.
        """
        if self._thread is not None:
            return self.url
        listener = listening(self._port)
        self._port = listener.getsockname()[1]
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(listener, started), name="gpuhub-modal-emulator", daemon=True
        )
        self._thread.start()
        if not started.wait(_START_S):
            raise RuntimeError("the emulator of Modal did not start")
        return self.url

    def stop(self) -> None:
        """Cut all connections and wait for the thread. May be called twice."""
        thread, loop, ended = self._thread, self._loop, self._ended
        self._thread = None
        if thread is None or loop is None or ended is None:
            return
        loop.call_soon_threadsafe(ended.set)
        thread.join(_START_S)

    def _run(self, listener: socket.socket, started: threading.Event) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._serve(listener, started))

    async def _serve(self, listener: socket.socket, started: threading.Event) -> None:
        logging.getLogger("hpack").setLevel(logging.WARNING)  # it prints tokens at DEBUG
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._site.waker.attach()
        wire = self._site.wire
        service = wire.handlers(self._answers())
        connections = Connections(wire.connections(service))
        listening = await self._loop.create_server(connections.new, sock=listener)
        pacer = asyncio.create_task(Pacer(self._site).run())
        started.set()
        await self._ended.wait()
        pacer.cancel()
        self._loop.remove_reader(listener)  # before the close: asyncio loses what it is accepting
        await connections.cut()
        listening.close()


class Connections:
    """All connections of a server, so that they can be cut.

    Args:
        make: Makes a protocol for each.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._open: dict[Any, Any] = {}
        self._is_cut = False

    def new(self) -> Any:
        """Make the protocol of a connection that is about to be made."""
        protocol = self._make()
        made, lost = protocol.connection_made, protocol.connection_lost

        def connection_made(transport: Any) -> None:
            self._open[protocol] = transport
            made(transport)
            if self._is_cut:
                transport.abort()

        def connection_lost(error: BaseException | None) -> None:
            self._open.pop(protocol, None)
            lost(error)

        protocol.connection_made = connection_made
        protocol.connection_lost = connection_lost
        return protocol

    async def cut(self) -> None:
        """Cut all, also those that are being made."""
        self._is_cut = True
        for transport in list(self._open.values()):
            transport.abort()
        for _ in range(_CUT_TURNS):
            await asyncio.sleep(0)
