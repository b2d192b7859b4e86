"""Functions that run on the emulator in the tests of Modal's own ways."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any


def echo(value: Any = None) -> Any:
    """Give the argument back."""
    return value


def flaky(place: str, failures: int) -> int:
    """Raise so many times, then give the number of runs."""
    runs = Path(place)
    number = 1 + (int(runs.read_text()) if runs.exists() else 0)
    runs.write_text(str(number))
    if number <= failures:
        raise ValueError(f"not yet: {number}")
    return number


def slow(began: str, seconds: float) -> str:
    """Tell that it began, and sleep."""
    Path(began).touch()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(0.01)
    return "slept"


async def slow_later(began: str, seconds: float) -> str:
    """Tell that it began, and sleep on the loop."""
    Path(began).touch()  # noqa: ASYNC240 - a moment
    await asyncio.sleep(seconds)
    return "slept"


def sizes(number: Any) -> Any:
    """Give each call of a batch the size of the batch."""
    return [len(number)] * len(number)


async def _site(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def site() -> Any:
    """Make the ASGI application."""
    return _site
