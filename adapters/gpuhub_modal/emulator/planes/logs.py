"""Logs: counted, fetched, followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from gpuhub_modal.emulator.logs import Line
from gpuhub_modal.emulator.rpc import Asked, rpc

if TYPE_CHECKING:
    from gpuhub_modal.emulator.apps import Workspace
    from gpuhub_modal.emulator.placement import Placement
    from gpuhub_modal.emulator.site import Site

__all__ = ["Logs"]

_MOST = 20_000
_LOOK_S = 0.05
_STREAM_S = 55.0


class Logs:
    """RPCs about what containers print.

    Args:
        site: What all parts share.
        workspace: All apps.
        placement: Has the logs.
    """

    def __init__(self, site: Site, workspace: Workspace, placement: Placement) -> None:
        self._site = site
        self._workspace = workspace
        self._placement = placement

    @rpc("AppFetchLogs", "logs")
    async def fetch(self, asked: Asked) -> Any:
        """Give the last lines of a span of time."""
        message = asked.message
        with self._site.change():
            since, until = _span(message)
            found = [
                each
                for each in self._lines(message, message.source)
                if since <= each.at < until or (each.at == since)
            ]
            limit = min(message.limit or _MOST, _MOST)
            return self._site.pb.AppFetchLogsResponse(batches=self._batches(found[-limit:]))

    @rpc("AppCountLogs", "logs")
    async def count(self, asked: Asked) -> Any:
        """Count lines, in buckets of time."""
        pb, message = self._site.pb, asked.message
        with self._site.change():
            since, until = _span(message)
            size = message.bucket_secs or 1
            lines = [
                each for each in self._lines(message, message.source) if since <= each.at < until
            ]
            buckets = []
            for start, group in groupby(lines, key=lambda each: each.at // size * size):
                sources = [each.source for each in group]
                bucket = pb.AppCountLogsResponse.LogBucket(
                    stdout_logs=sources.count("stdout"),
                    stderr_logs=sources.count("stderr"),
                    system_logs=sources.count("info"),
                )
                self._site.wire.set_time(bucket.bucket_start_at, start)
                buckets.append(bucket)
            return pb.AppCountLogsResponse(app_id=message.app_id, buckets=buckets)

    @rpc("AppGetLogs", "logs")
    async def follow(self, asked: Asked) -> AsyncIterator[Any]:
        """Give new lines as they come."""
        message = asked.message
        sent = int(message.last_entry_id or 0)
        loop = asyncio.get_running_loop()
        ends = loop.time() + min(message.timeout or _STREAM_S, _STREAM_S)
        while loop.time() < ends:
            with self._site.change():
                app = self._workspace.app(message.app_id)
                lines = self._lines(message, message.file_descriptor)
                batches = self._batches(lines[sent:], len(lines))
            for batch in batches:
                yield batch
            sent = len(lines)
            if app.is_stopped:
                yield self._site.pb.TaskLogsBatch(app_done=True, entry_id=str(sent))
                return
            await asyncio.sleep(_LOOK_S)

    def _lines(self, message: Any, source: int) -> list[Line]:
        """The lines that a request is about, oldest first."""
        app = self._workspace.app(message.app_id)
        wanted = self._site.wire.name_of("FileDescriptor", source).lower()
        functions = {each.id for each in self._workspace.functions.values() if each.app is app}
        if message.function_id:
            functions &= {message.function_id}
        tasks = self._tasks(message)
        return [
            line
            for line in self._all()
            if line.function_id in functions
            and wanted in ("unspecified", line.source)
            and (tasks is None or line.task_id in tasks)
            and message.search_text in line.text
        ]

    def _all(self) -> list[Line]:
        found: list[Line] = []
        for log in self._placement.logs:
            log.collect()
            found += log.lines
        return sorted(found, key=lambda line: line.at)

    def _tasks(self, message: Any) -> set[str] | None:
        """The containers that a request is about; ``None``: all."""
        if message.task_id:
            return {message.task_id}
        if not message.function_call_id:
            return None
        return {
            entry.task_id
            for function in self._workspace.functions.values()
            for call in function.calls.values()
            if call.id == message.function_call_id
            for entry in call.inputs.values()
        }

    def _batches(self, lines: list[Line], number: int = 0) -> list[Any]:
        return list(self._grouped(lines, number))

    def _grouped(self, lines: list[Line], number: int) -> Iterator[Any]:
        pb = self._site.pb
        for (task_id, function_id), group in groupby(
            lines, key=lambda each: (each.task_id, each.function_id)
        ):
            yield pb.TaskLogsBatch(
                task_id=task_id,
                function_id=function_id,
                root_function_id=function_id,
                entry_id=str(number) if number else "",
                items=[
                    pb.TaskLogs(
                        data=line.text,
                        timestamp=line.at,
                        timestamp_ns=int(line.at * 1e9),
                        file_descriptor=self._site.wire.number_of(
                            "FileDescriptor", line.source.upper()
                        ),
                        container_id=task_id,
                    )
                    for line in group
                ],
            )


def _span(message: Any) -> tuple[float, float]:
    until = message.until.seconds + message.until.nanos / 1e9
    return message.since.seconds + message.since.nanos / 1e9, until or float("inf")
