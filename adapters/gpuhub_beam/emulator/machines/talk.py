"""Talks HTTP/1.1 to a container: a connection for each request in flight, kept for the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import h11

__all__ = ["Connections", "Talk", "Unreachable"]

_CHUNK = 262_144

Headers = list[tuple[bytes, bytes]]


class Unreachable(ConnectionError):  # noqa: N818 - says what is the matter
    """The container does not answer, or broke off."""


@dataclass
class Connections:
    """Connections to one container that wait for a request."""

    port: int
    _idle: list[Talk] = field(default_factory=list)

    async def open(self) -> Talk:
        """Give a connection.

        Raises:
            Unreachable: Nothing listens.
        """
        while self._idle:
            talk = self._idle.pop()
            if talk.is_open:
                return talk
            talk.close()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError as error:
            raise Unreachable(str(error)) from None
        return Talk(self, reader, writer)

    def give_back(self, talk: Talk) -> None:
        """Keep a connection for the next request."""
        self._idle.append(talk)

    def close(self) -> None:
        """Close those that wait."""
        for talk in self._idle:
            talk.close()
        self._idle.clear()


class Talk:
    """One connection."""

    def __init__(
        self,
        connections: Connections,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._connections = connections
        self._reader = reader
        self._writer = writer
        self._state = h11.Connection(h11.CLIENT)

    @property
    def is_open(self) -> bool:
        """Whether the other side has not closed it."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    def close(self) -> None:
        """Close it, whatever is under way."""
        self._writer.close()

    async def ask(
        self, method: str, target: str, headers: Headers, body: bytes
    ) -> tuple[int, Headers]:
        """Send a request; give status and headers of the answer.

        Raises:
            Unreachable: There was none; the connection is closed.
        """
        own = [(b"Host", b"container"), (b"Content-Length", b"%d" % len(body)), *headers]
        head = self._state.send(h11.Request(method=method, target=target, headers=own))
        self._writer.write(head or b"")
        for at in range(0, len(body), _CHUNK):
            data = self._state.send(h11.Data(data=body[at : at + _CHUNK]))
            self._writer.write(data or b"")
        self._writer.write(self._state.send(h11.EndOfMessage()) or b"")
        try:
            await self._writer.drain()
            event = await self._next()
        except OSError as error:
            self.close()
            raise Unreachable(str(error)) from None
        except BaseException:
            self.close()
            raise
        if not isinstance(event, h11.Response):
            self.close()
            raise Unreachable("the container closed the connection")
        return event.status_code, list(event.headers)

    async def read(self) -> AsyncIterator[bytes]:
        """Give the body as it comes; the connection is kept at its end, else closed.

        Raises:
            Unreachable: It broke off.
        """
        try:
            while True:
                event = await self._next()
                if isinstance(event, h11.Data):
                    yield bytes(event.data)
                else:
                    break
            if isinstance(event, h11.ConnectionClosed):
                raise Unreachable("the container closed the connection")  # noqa: TRY301
            if self._state.our_state is h11.DONE and self._state.their_state is h11.DONE:
                self._state.start_next_cycle()
                self._connections.give_back(self)
            else:
                self.close()
        except OSError as error:
            self.close()
            raise Unreachable(str(error)) from None
        except BaseException:
            self.close()
            raise

    async def _next(self) -> object:
        while True:
            try:
                event = self._state.next_event()
            except h11.RemoteProtocolError as error:
                raise Unreachable(str(error)) from None
            if event is not h11.NEED_DATA:
                return event
            self._state.receive_data(await self._reader.read(_CHUNK))
