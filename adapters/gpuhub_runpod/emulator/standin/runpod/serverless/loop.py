"""The worker loop of the stand-in: takes jobs, runs the handler, sends results."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

from runpod.serverless.api import Api, WorkerIsGone
from runpod.serverless.jobs import items_of, result_of, streams

__all__ = ["work"]

Config = dict[str, Any]
Job = dict[str, Any]


def work(config: Config) -> None:
    """Take jobs until the process is killed, or asked for a fresh worker."""
    try:
        asyncio.run(_Worker(config).run())
    except WorkerIsGone:
        sys.exit(0)


class _Worker:
    def __init__(self, config: Config) -> None:
        self._config = config
        self._api = Api.from_environment()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._freed = asyncio.Event()
        self._is_done = False

    async def run(self) -> None:
        stops = asyncio.create_task(self._watch_stops())
        pings = asyncio.create_task(self._ping())
        try:
            await self._take()
        finally:
            stops.cancel()
            pings.cancel()

    async def _take(self) -> None:
        modifier: Callable[[int], int] = self._config.get("concurrency_modifier", lambda now: now)
        most = 1
        while not self._is_done:
            most = modifier(most)
            room = most - len(self._tasks)
            if room <= 0:
                self._freed.clear()
                await self._freed.wait()
                continue
            for job in await self._api.take(room, is_busy=bool(self._tasks)):
                task = asyncio.create_task(self._handle(job))
                self._tasks[job["id"]] = task

    async def _handle(self, job: Job) -> None:
        handler = self._config["handler"]
        try:
            if streams(handler):
                result = await self._stream(handler, job)
            else:
                result = await result_of(handler, job)
            if self._config.get("refresh_worker"):
                result["stopPod"] = True
                self._is_done = True
            await self._api.send_result(job["id"], result, is_stream=streams(handler))
        finally:
            self._tasks.pop(job["id"], None)
            self._freed.set()

    async def _stream(self, handler: Any, job: Job) -> dict[str, Any]:
        outputs: list[Any] = []
        result: dict[str, Any] = {"output": outputs}
        async for item in items_of(handler, job):
            if "error" in item:
                return dict(item)
            if self._config.get("return_aggregate_stream"):
                outputs.append(item["output"])
            await self._api.send_item(job["id"], item)
        return result

    async def _watch_stops(self) -> None:
        while True:
            for job_id in await self._api.stops():
                if job_id in self._tasks:
                    self._tasks[job_id].cancel()

    async def _ping(self) -> None:
        interval_s = int(os.environ.get("RUNPOD_PING_INTERVAL", "10000")) / 1000
        while True:
            await self._api.ping(list(self._tasks))
            await asyncio.sleep(interval_s)
