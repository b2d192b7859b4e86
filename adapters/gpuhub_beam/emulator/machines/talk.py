"""Talks HTTP/1.1 to a container: a connection for each request in flight, kept for the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

__all__ = ["Connections", "Talk", "Unreachable"]

_CHUNK = 262_144
_LONGEST_HEAD = 1_048_576
_BODILESS = (204, 304)

Headers = list[tuple[bytes, bytes]]


class Unreachable(ConnectionError):  # noqa: N818 - says what is the matter
    """The container does not answer, or broke off."""


@dataclass
class Connections:
    """Connections to one container that wait for a request.

    Attributes:
        port: Where it listens.
        is_closed: Whether a connection is closed after its request instead of kept.
    """

    port: int
    is_closed: bool = False
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
            streams = await asyncio.open_connection("127.0.0.1", self.port, limit=_LONGEST_HEAD)
        except OSError as error:
            raise Unreachable(str(error)) from None
        return Talk(self, *streams)

    def give_back(self, talk: Talk) -> None:
        """Keep a connection for the next request."""
        if self.is_closed:
            talk.close()
        else:
            self._idle.append(talk)

    def close(self) -> None:
        """Close those that wait, and later those that are in use."""
        self.is_closed = True
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
        self._length: int | None = None
        self._is_chunked = False
        self._is_kept = False

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
        lines = [f"{method} {target} HTTP/1.1".encode("latin-1")]
        lines += [name + b": " + value for name, value in own]
        self._writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
        self._writer.write(body)
        try:
            await self._writer.drain()
            return await self._head(method)
        except (OSError, EOFError, ValueError) as error:
            self.close()
            raise Unreachable(f"the container closed the connection: {error}") from None
        except BaseException:
            self.close()
            raise

    async def read(self) -> AsyncIterator[bytes]:
        """Give the body as it comes; the connection is kept at its end, else closed.

        Raises:
            Unreachable: It broke off.
        """
        try:
            pieces = self._chunks() if self._is_chunked else self._plain()
            async for piece in pieces:
                yield piece
        except (OSError, EOFError, ValueError) as error:
            self.close()
            raise Unreachable(f"the container broke off: {error}") from None
        except BaseException:
            self.close()
            raise
        if self._is_kept:
            self._connections.give_back(self)
        else:
            self.close()

    async def _head(self, method: str) -> tuple[int, Headers]:
        status_line, *lines = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
        version, status = status_line.split(b" ", 2)[:2]
        pairs = [line.partition(b":")[::2] for line in lines]
        headers = [(name.strip().lower(), value.strip()) for name, value in pairs]
        found = dict(headers)
        self._is_chunked = b"chunked" in found.get(b"transfer-encoding", b"").lower()
        length = found.get(b"content-length")
        self._length = int(length) if length is not None else None
        if method == "HEAD" or int(status) in _BODILESS:
            self._length, self._is_chunked = 0, False
        is_framed = self._is_chunked or self._length is not None
        closes = found.get(b"connection", b"").lower() == b"close"
        self._is_kept = version == b"HTTP/1.1" and is_framed and not closes
        return int(status), headers

    async def _plain(self) -> AsyncIterator[bytes]:
        left = self._length
        while left is None or left > 0:
            piece = await self._reader.read(_CHUNK if left is None else min(left, _CHUNK))
            if not piece:
                if left is None:
                    return
                raise EOFError(f"{left} bytes are missing")
            left = None if left is None else left - len(piece)
            yield piece

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int((await self._reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            yield await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        while (await self._reader.readuntil(b"\r\n")) != b"\r\n":
            pass
