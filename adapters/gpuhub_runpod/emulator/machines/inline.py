"""Images that a test plays with a Python function in this process."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from gpuhub_runpod.emulator.standin.runpod.serverless.jobs import (
    body_of,
    facts_of,
    items_of,
    streams,
)

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.jobs import Job

__all__ = ["InlineMachine", "Played", "Stillborn"]

Results = Callable[["Job", dict[str, Any]], None]
Items = Callable[["Job", Any], None]


class Played:
    """How an image is played.

    Args:
        handler: Takes RunPod's job, a dictionary, and returns the output or yields items. It
            must be quick: it runs on the server's own thread unless ``at_once`` is set.
        at_once: Jobs at the same time, each on a thread. 0: on the server's thread.
    """

    def __init__(self, handler: Callable[[dict[str, Any]], Any], at_once: int = 0) -> None:
        self.handler = handler
        self.at_once = at_once


class InlineMachine:
    """Runs a Python function for each job.

    Args:
        played: The function.
        result: Takes the result of a job.
        item: Takes one item of a job.
    """

    def __init__(self, played: Played, result: Results, item: Items) -> None:
        self.at_once = played.at_once or 1_000
        self._handler = played.handler
        self._result = result
        self._item = item
        on_threads = played.at_once or (8 if streams(played.handler) else 0)
        self._threads = ThreadPoolExecutor(on_threads) if on_threads else None

    def start(self) -> None:
        """Nothing has to start."""

    def stop(self) -> None:
        """Begin nothing more; what runs goes on, unheard."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def perform(self, jobs: list[Job]) -> None:
        """Run jobs."""
        for job in jobs:
            if self._threads is None:
                self._run(job)
            else:
                self._threads.submit(self._run, job)

    def _run(self, job: Job) -> None:
        document = {"id": job.id, **job.document}
        if streams(self._handler):
            self._result(job, asyncio.run(self._stream(job, document)))
            return
        try:
            result = body_of(self._handler(document))
        except Exception as error:  # noqa: BLE001 - told to the caller, as RunPod's loop does
            result = {"error": json.dumps(facts_of(error))}
        self._result(job, result)

    async def _stream(self, job: Job, document: dict[str, Any]) -> dict[str, Any]:
        async for item in items_of(self._handler, document):
            if "error" in item:
                return item
            self._item(job, item)
        return {"output": []}


class Stillborn:
    """A container that the system does not start.

    Args:
        say: Takes the line of the log that says why.
        exited: Told that it ended.
        why: The words.
    """

    at_once = 0

    def __init__(self, say: Callable[[str], None], exited: Callable[[int], None], why: str) -> None:
        self._say = say
        self._exited = exited
        self._why = why

    def start(self) -> None:
        """End at once."""
        self._say(f"exec: {self._why}")
        threading.Thread(target=self._exited, args=(126,), daemon=True).start()

    def stop(self) -> None:
        """It has ended."""

    def perform(self, jobs: list[Job]) -> None:
        """It never runs."""
        raise NotImplementedError
