"""Requests and answers of the emulator, as the gateway has them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import parse_qs

from typing_extensions import override

from gpuhub.testing.emulator import web
from gpuhub.testing.emulator.web import Answer, Receive, Send
from gpuhub_beam.emulator.problems import Problem

__all__ = ["Answer", "Request", "send_while_there"]


@dataclass
class Request(web.Request):
    """One request.

    Attributes:
        operation: What it means, as in ``Emulator.requests``.
        is_websocket: Whether it asks for a websocket.
    """

    operation: str = ""
    is_websocket: bool = False

    @property
    def all_of_query(self) -> dict[str, list[str]]:
        """Of the query; all values of each name."""
        return parse_qs(self.raw_query, keep_blank_values=True)

    @override
    def refusal(self, words: str) -> Problem:
        return Problem(400, words)

    def asked(self, name: str) -> str:
        """Give the last value of a query's parameter; empty when it is not there."""
        return self.query.get(name, "")


async def send_while_there(send: Send, answer: Answer, receive: Receive) -> None:
    """Send one answer, whole or in pieces; a client that leaves ends the pieces."""
    if isinstance(answer.body, bytes):
        await web.send_answer(send, answer)
        return
    sending = asyncio.ensure_future(web.send_answer(send, answer))
    leaving = asyncio.ensure_future(_left(receive))
    await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    if not sending.done():
        sending.cancel()
    await asyncio.wait([sending])
    if (close := getattr(answer.body, "aclose", None)) is not None:
        await close()
    if not sending.cancelled():
        sending.result()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
