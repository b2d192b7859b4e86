"""Logs: what all containers of a workspace print, in one sequence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gpuhub.worker.wire import dumps
from gpuhub_beam.emulator.problems import bad_request
from gpuhub_beam.emulator.stubs import timestamp
from gpuhub_beam.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub.testing.emulator.logs import Line, WorkerLog
    from gpuhub_beam.emulator.instances import Instance
    from gpuhub_beam.emulator.site import Site

__all__ = ["Records"]

_LOOK_S = 0.05
_RECORD = '{"message": '
"""How beta9's runner begins what it prints of the user's."""
_TYPES = ("", "BETA9_WORKSPACE", "BETA9_APP", "BETA9_STUB", "BETA9_TASK", "BETA9_CONTAINER")


@dataclass(slots=True)
class _Source:
    log: WorkerLog
    facts: dict[str, str]
    seen: int = 0


@dataclass
class Records:
    """Every line so far. Methods that read need the lock.

    Attributes:
        site: What all parts share.
        lines: All, in the order they were seen.
    """

    site: Site
    lines: list[dict[str, Any]] = field(default_factory=list)
    _sources: dict[str, _Source] = field(default_factory=dict)

    def keep(self, instance: Instance, container_id: str, log: WorkerLog) -> None:
        """Read a new container's log from now on."""
        stub = instance.stub
        facts = {
            "container_id": container_id,
            "stub_id": stub.id,
            "stub_type": stub.type,
            "workspace_id": self.site.workspace_id,
            "app_id": stub.app.id,
        }
        self._sources[container_id] = _Source(log, facts)

    async def read(self, request: Request, _workspace_id: str) -> Answer:
        """``GET /api/v1/logs/{ws}``: oldest first, page by page."""
        limit = min(1000, int(request.asked("limit") or request.asked("size") or 100))
        page = int(request.asked("page") or 0)
        with self.site.change():
            found = self._matching(request)
        begin = page * limit
        more = str(page + 1) if len(found) > begin + limit else ""
        return Answer.of(
            {
                "object_id": request.asked("object_id"),
                "object_type": request.asked("object_type"),
                "logs": found[begin : begin + limit],
                "total_expected": len(found),
                "next_cursor": more,
            }
        )

    async def follow(self, request: Request, _workspace_id: str) -> Answer:
        """``GET /api/v1/logs/{ws}/stream``: lines as events, from a moment or from now on."""
        with self.site.change():
            known = self._matching(request)
        since = request.asked("start_time") or request.asked("seq_num")
        after = 0 if since else (known[-1]["seq_num"] if known else 0)
        body = self._events(request, int(request.headers.get("last-event-id", after)))
        return Answer(200, body, {"Cache-Control": "no-cache"}, "text/event-stream")

    async def _events(self, request: Request, after: int) -> AsyncIterator[bytes]:
        yield b": connected\n\n"
        while True:
            with self.site.change():
                found = [each for each in self._matching(request) if each["seq_num"] > after]
            for line in found:
                after = line["seq_num"]
                yield b"event: log\nid: %d\ndata: %b\n\n" % (after, dumps(line))
            if not found:
                with self.site.timeline.lock:
                    changed = self.site.changed.listen()
                await asyncio.wait([changed], timeout=_LOOK_S)

    def _matching(self, request: Request) -> list[dict[str, Any]]:
        self.collect()
        kind, name = request.asked("object_type"), request.asked("object_id")
        if kind not in _TYPES:
            raise bad_request("Invalid log object type")
        wanted = {
            key: request.asked(key)
            for key in ("stub_id", "app_id", "container_id", "task_id")
            if request.asked(key)
        }
        if kind not in ("", "BETA9_WORKSPACE"):
            wanted[f"{kind.removeprefix('BETA9_').lower()}_id"] = name
        since, until = _moment(request, "start_time"), _moment(request, "end_time")
        first = int(request.asked("seq_num") or 0)
        return [
            line
            for line in self.lines
            if all(line.get(key) == value for key, value in wanted.items())
            and since <= _wall(line["timestamp"]) <= until
            and line["seq_num"] >= first
        ]

    def collect(self) -> None:
        """Take over what was printed meanwhile."""
        for source in self._sources.values():
            for line in source.log.after(source.seen):
                source.seen = line.number
                self._add(line, source.facts)

    def _add(self, line: Line, facts: dict[str, str]) -> None:
        for record in _unwrapped(line.text):
            self.lines.append(
                {
                    "seq_num": len(self.lines) + 1,
                    "timestamp": timestamp(line.at),
                    "stream": "system" if line.source == "system" else "stdout",
                    **facts,
                    **record,
                }
            )


def _unwrapped(text: str) -> list[dict[str, str]]:
    """Give the lines in a line: beta9's runner prints JSON documents, one after another."""
    if not (_RECORD in text and '"beta9_log": true' in text):
        return [{"message": text}]
    found: list[dict[str, str]] = []
    decoder = json.JSONDecoder()
    at = 0
    while at < len(text):
        begin = text.find(_RECORD, at)
        if plain := text[at : begin if begin >= 0 else None]:
            found.append({"message": plain})
        if begin < 0:
            break
        document, at = decoder.raw_decode(text, begin)
        names = ("task_id", "stream")
        facts = {name: document[name] for name in names if name in document}
        found.append({"message": str(document["message"]).rstrip("\n"), **facts})
    return found


def _moment(request: Request, name: str) -> float:
    text = request.asked(name)
    if not text:
        return float("-inf") if name == "start_time" else float("inf")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise bad_request(f"Invalid {name.replace('_', ' ')}") from None


def _wall(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
