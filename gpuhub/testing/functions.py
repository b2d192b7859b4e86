"""The functions that the contract suite deploys.

The suite copies this file into a project of its own, so it stands alone: standard library only,
no gpuhub. What a test wants to know of a run beyond its result, it reads from a file that the
function writes: that works wherever the function runs on this machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

MARK = "gpuhub-contract"


def echo(value: Any = None) -> Any:
    """Give the argument back."""
    return value


def typed(text: str, number: int, data: bytes, table: dict[str, list[float]]) -> dict[str, Any]:
    """Say what arrived, so that a type lost on the way shows."""
    return {
        "text": [type(text).__name__, text],
        "number": [type(number).__name__, number],
        "data": [type(data).__name__, data.hex()],
        "table": [type(table).__name__, table],
    }


def combine(left: int, right: int = 10, *, scale: int = 1) -> int:
    """Take a positional, a default and a keyword-only argument."""
    return (left + right) * scale


def reversed_bytes(data: bytes) -> bytes:
    """Give bytes back in reverse."""
    return data[::-1]


def size_of(text: str) -> int:
    """Give the number of characters, so that a large argument has a small result."""
    return len(text)


class Unhappy(Exception):  # noqa: N818 - a user names errors as they like
    """An error class of the user's own."""


def fail(message: str) -> None:
    """Raise the user's own error, two frames deep."""
    _raise(message)


def _raise(message: str) -> None:
    raise Unhappy(message)  # the line a remote traceback must name


def complain_of(variable: str) -> None:
    """Raise an error that shows the value of a variable, as careless clients of services do."""
    message = f"the token {os.environ[variable]} was refused"
    raise ValueError(message)


def fail_if_odd(number: int) -> int:
    """Raise for odd numbers."""
    if number % 2:
        message = f"{number} is odd"
        raise ValueError(message)
    return number


async def later(text: str) -> str:
    """Be a coroutine that does wait."""
    await asyncio.sleep(0)
    return text.upper()


def count_to(number: int) -> Iterator[int]:
    """Yield 0, 1, … below the number."""
    yield from range(number)


async def count_to_later(number: int) -> AsyncIterator[int]:
    """Yield 0, 1, … below the number, asynchronously."""
    for each in range(number):
        await asyncio.sleep(0)
        yield each


def count_and_fail(number: int) -> Iterator[int]:
    """Yield 0, 1, … below the number, then raise."""
    yield from range(number)
    message = f"after {number}"
    raise ValueError(message)


def count_and_note(number: int, log: str) -> Iterator[int]:
    """Yield numbers and write down how far it came."""
    _note(log, "started")
    for each in range(number):
        yield each
        _note(log, f"went on after {each}")
    _note(log, "finished")


def record(value: Any, log: str) -> Any:
    """Write the value down, one line for each run, and give it back."""
    _note(log, value)
    return value


def wait_for(gate: str, log: str, seconds: float = 10.0) -> str:
    """Run until a file appears, or for so many seconds of the worker's own time."""
    _note(log, "started")
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if Path(gate).exists():
            _note(log, "opened")
            return "opened"
        time.sleep(0.005)
    return "gave up"


def fail_at_first(times: int, log: str) -> int:
    """Raise in the first runs; give the number of the run that succeeds."""
    _note(log, "run")
    runs = len(Path(log).read_text("utf-8").splitlines())
    if runs <= times:
        message = f"run {runs} fails"
        raise ValueError(message)
    return runs


def tick() -> None:
    """Write down that it ran; needs no argument, as what a schedule runs."""
    _note(os.environ["CONTRACT_LOG"], "tick")


def repeated(text: str, times: int) -> str:
    """Give a result of any size."""
    return text * times


def variable(name: str) -> Any:
    """Give an environment variable."""
    return os.environ.get(name)


def shout(text: str) -> None:
    """Print, for the logs."""
    print(text, flush=True)  # noqa: T201 - that is what it is for


class Counter:
    """A class whose instance is made once for each worker."""

    def setup(self) -> None:
        """Count how often it is set up."""
        self.setups = getattr(self, "setups", 0) + 1
        self.calls = 0

    def __call__(self, label: str = "") -> dict[str, Any]:
        """Say how often this instance was set up and called."""
        self.calls += 1
        return {"setups": self.setups, "calls": self.calls, "label": label}


def site() -> Any:
    """Make an ASGI application."""

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = f"{MARK} {scope['path']}".encode()
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


def _note(log: str, value: Any) -> None:
    """Add one line; one ``write`` below a page is whole, whoever else writes."""
    with Path(log).open("ab", buffering=0) as file:
        file.write(json.dumps(value).encode() + b"\n")
