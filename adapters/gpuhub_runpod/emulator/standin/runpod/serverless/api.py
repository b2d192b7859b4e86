"""RunPod's worker API over plain sockets: just enough HTTP for one server on loopback."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

__all__ = ["Api", "WorkerIsGone"]

_LIMIT = 64_000_000


class WorkerIsGone(Exception):  # noqa: N818 - says what happened
    """The server does not answer any more."""


@dataclass
class Api:
    """The routes of one worker; those that are told by environment variables.

    Attributes:
        worker: Its id.
        key: What it authorizes itself with.
        take_url: Where it gets jobs.
        done_url: Where it sends results.
        stream_url: Where it sends items.
        ping_url: Where it says that it lives.
    """

    worker: str
    key: str
    take_url: str
    done_url: str
    stream_url: str
    ping_url: str
    _free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    @classmethod
    def from_environment(cls) -> Api:
        """Read the variables that the platform sets."""
        worker = os.environ["RUNPOD_POD_ID"]

        def url(name: str, mark: str) -> str:
            return os.environ[f"RUNPOD_WEBHOOK_{name}"].replace(mark, worker)

        return cls(
            worker,
            os.environ.get("RUNPOD_AI_API_KEY", ""),
            url("GET_JOB", "$ID"),
            url("POST_OUTPUT", "$RUNPOD_POD_ID"),
            url("POST_STREAM", "$RUNPOD_POD_ID"),
            url("PING", "$RUNPOD_POD_ID"),
        )

    async def take(self, count: int, *, is_busy: bool) -> list[dict[str, Any]]:
        """Wait for jobs; give up to ``count``, or none after a while."""
        url = self.take_url
        if count > 1:
            url = url.replace("/job-take/", "/job-take-batch/") + f"&batch_size={count}"
        content = await self._send("GET", f"{url}&job_in_progress={int(is_busy)}")
        jobs = json.loads(content) if content else []
        return jobs if isinstance(jobs, list) else [jobs]

    async def stops(self) -> list[str]:
        """Wait for jobs to stop; give their ids."""
        content = await self._send("GET", self.take_url.replace("/job-take/", "/job-stop/"))
        return list(json.loads(content)["jobsToStop"]) if content else []

    async def send_result(self, job: str, result: dict[str, Any], *, is_stream: bool) -> None:
        """Tell the result of a job."""
        url = f"{self.done_url.replace('$ID', job)}&isStream={str(is_stream).lower()}"
        await self._send("POST", url, json.dumps(result, ensure_ascii=False).encode())

    async def send_item(self, job: str, item: dict[str, Any]) -> None:
        """Tell one item of a stream."""
        url = f"{self.stream_url.replace('$ID', job)}&isStream=false"
        await self._send("POST", url, json.dumps(item, ensure_ascii=False).encode())

    def tell_progress(self, job: str, progress: Any) -> None:
        """Tell how far a job is; blocks."""
        url = urlsplit(f"{self.done_url.replace('$ID', job)}&isStream=false")
        connection = http.client.HTTPConnection(url.netloc, timeout=10)
        body = json.dumps({"status": "IN_PROGRESS", "output": progress})
        headers = {"Authorization": self.key}
        connection.request("POST", f"{url.path}?{url.query}", body, headers)
        connection.getresponse().read()
        connection.close()

    async def ping(self, jobs: list[str]) -> None:
        """Say that the worker lives."""
        query = f"?job_id={quote(','.join(jobs))}&runpod_version=1.12.0"
        await self._send("GET", self.ping_url + query)

    async def _send(self, method: str, url: str, body: bytes = b"") -> bytes:
        parts = urlsplit(url)
        head = (
            f"{method} {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Authorization: {self.key}\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        )
        reader, writer = await self._connected(parts.hostname or "", parts.port or 80)
        try:
            writer.write(head.encode() + body)
            await writer.drain()
            status, content = await _answer(reader)
        except (OSError, asyncio.IncompleteReadError):
            raise WorkerIsGone from None
        except asyncio.CancelledError:
            writer.close()
            raise
        self._free.append((reader, writer))
        return content if status == 200 else b""

    async def _connected(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._free:
            reader, writer = self._free.pop()
            if not (reader.at_eof() or writer.is_closing()):
                return reader, writer
        try:
            return await asyncio.open_connection(host, port, limit=_LIMIT)
        except OSError:
            raise WorkerIsGone from None


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    status = int(head[0].split(" ")[1])
    lengths = [line.partition(":")[2] for line in head if line.startswith("content-length:")]
    return status, await reader.readexactly(int(lengths[0])) if lengths else b""
