"""Functions that the Replicate tests deploy and run."""

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


def spin(seconds: float) -> float:
    """Keep Python busy."""
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
