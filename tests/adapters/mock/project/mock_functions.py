"""Functions that the tests of the mock deploy."""

# ruff: noqa: D103 - a function's name says what it does
from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

GATES: dict[str, threading.Event] = {}
HOOKS: dict[str, Any] = {}


def add(x: int, y: int = 1) -> int:
    return x + y


def fail(message: str) -> None:
    raise ValueError(message)


def fail_until(path: str, times: int) -> int:
    """Raise for the first so many runs; a line in the file for each run."""
    with Path(path).open("a") as file:
        file.write("run\n")
    runs = len(Path(path).read_text().splitlines())
    if runs <= times:
        message = f"run {runs}"
        raise ValueError(message)
    return runs


def count(number: int) -> Any:
    yield from range(number)


def variable(name: str) -> str | None:
    return os.environ.get(name)


def write_to_volume(text: str) -> str:
    folder = json.loads(os.environ["GPUHUB_VOLUMES"])["/models"]
    path = Path(folder, "note.txt")
    path.write_text(text)
    return str(path)


def shout(text: str) -> None:
    print(text)
    print(f"{text}!", file=sys.stderr)


async def shout_later(text: str) -> str:
    await asyncio.sleep(0)
    print(text)
    return text.upper()


def where() -> dict[str, Any]:
    return {"process": os.getpid(), "thread": threading.current_thread().name}


def gate(name: str) -> str:
    """Wait until the test opens the gate."""
    GATES[name].wait(50)
    return name


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def end_process() -> None:
    os._exit(3)


def large(size: int) -> str:
    return "x" * size


def doubled(x: list[int]) -> list[int]:
    return [each * 2 for each in x]


def sizes(x: list[int]) -> list[int]:
    return [len(x)] * len(x)


def wrong_batch(x: list[int]) -> list[int]:
    return x[:-1]


def call_hook(name: str) -> Any:
    """Do what the test wants done inside of a worker."""
    return HOOKS[name]()


def tick() -> None:
    print("tick")


class Counter:
    def setup(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


class Slow:
    def setup(self) -> None:
        time.sleep(0.1)

    def __call__(self) -> int:
        return 1


class Broken:
    def setup(self) -> None:
        message = "no weights"
        raise RuntimeError(message)

    def __call__(self) -> int:
        return 1


def site() -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = f"hello from {scope['path']}".encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application
