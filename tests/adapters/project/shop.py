"""Functions that the tests of the adapters deploy and run."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any


def echo(value: Any = None) -> Any:
    """Give the argument back."""
    return value


def fail(message: str) -> None:
    """Raise."""
    raise ValueError(message)


def slow(seconds: float) -> float:
    """Block a thread."""
    time.sleep(seconds)
    return seconds


def stuck(pipe: str) -> None:
    """Keep a thread out of Python code, until who reads a named pipe closes it."""
    opened = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)  # which raises where nobody reads any more
    try:
        os.set_blocking(opened, True)
        os.write(opened, bytes(1_000_000))
    finally:
        os.close(opened)


def spin(seconds: float) -> float:
    """Keep a thread in Python code."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(0.001)
    return seconds


async def later(seconds: float) -> float:
    """Wait on the loop."""
    await asyncio.sleep(seconds)
    return seconds


def count(number: int) -> Iterator[int]:
    """Yield 0, 1, and so on."""
    yield from range(number)


async def count_later(number: int, pause: float = 0.0) -> AsyncIterator[int]:
    """Yield 0, 1, … on the loop."""
    for each in range(number):
        await asyncio.sleep(pause)
        yield each


async def endless() -> AsyncIterator[int]:
    """Yield without end."""
    number = 0
    while True:
        yield number
        number += 1
        await asyncio.sleep(0.01)


def large(size: int) -> str:
    """Give a large result."""
    return "x" * size


def large_item(size: int) -> Iterator[str]:
    """Yield a large item, and one more."""
    yield "x" * size
    yield "after"


def huge() -> int:
    """Give what JSON cannot hold: Python prints no integer of that length."""
    return 10**5000


def variable(name: str) -> str | None:
    """Give an environment variable."""
    return os.environ.get(name)


class Counter:
    """Counts its calls."""

    def setup(self) -> None:
        """Begin at zero."""
        self.calls = 0

    def __call__(self) -> int:
        """Count."""
        self.calls += 1
        return self.calls


async def site(scope: Any, receive: Any, send: Any) -> None:
    """Answer each request with the path."""
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def app() -> Any:
    """Make the ASGI application."""
    return site


def doubled(number: list[int]) -> list[int]:
    """Double each of a batch."""
    return [2 * each for each in number]


async def doubled_later(number: list[int]) -> list[int]:
    """Double each of a batch, on the loop."""
    await asyncio.sleep(0)
    return [2 * each for each in number]


def too_few(number: list[int]) -> list[int]:
    """Forget one of a batch."""
    return number[1:]
