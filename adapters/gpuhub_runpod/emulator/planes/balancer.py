"""The load balancer: requests of anybody's go to a worker that serves HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.signals import Signal
from gpuhub.testing.emulator.waiting import wait_until
from gpuhub_runpod.emulator.jobs import Job
from gpuhub_runpod.emulator.problems import Problem
from gpuhub_runpod.emulator.web import Answer, Request

if TYPE_CHECKING:
    import httpx

    from gpuhub_runpod.emulator.account import Account
    from gpuhub_runpod.emulator.endpoints import Endpoint
    from gpuhub_runpod.emulator.site import Site
    from gpuhub_runpod.emulator.workers import Worker

__all__ = ["Balancer"]

Done = Callable[[], None]

_WAIT_S = 120.0
_REQUEST_S = 330.0
_BYTES = 30_000_000
_LOOK_S = 0.02
_OWN_HEADERS = frozenset(
    ("connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade")
)


class Balancer:
    """``https://{id}.api.runpod.ai/…``, here ``/lb/{id}/…``.

    Args:
        site: What all parts share.
        account: Whose endpoints.
    """

    def __init__(self, site: Site, account: Account) -> None:
        self._site = site
        self._account = account
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, request: Request, endpoint_id: str, path: str) -> Answer:
        """Any method on any path."""
        if len(request.body) > _BYTES:
            raise Problem(
                413, f"the body has {len(request.body)} bytes; at most {_BYTES} are taken"
            )
        with self._site.change():
            endpoint = self._account.endpoint(endpoint_id)
            if endpoint.is_queue:
                raise Problem(404, f"endpoint {endpoint_id} takes jobs, it does not balance load")
        worker, visit = await self._admitted(endpoint)
        try:
            return await self._pass_on(request, path, worker, lambda: self._leave(endpoint, visit))
        except BaseException:
            self._leave(endpoint, visit)
            raise

    def watch(self, endpoint: Endpoint, worker: Worker) -> None:
        """Ask a started worker for its health until it is well; from any thread."""

        def begin() -> None:
            task = asyncio.get_running_loop().create_task(self._await_health(endpoint, worker))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._site.waker.call(begin)

    async def _await_health(self, endpoint: Endpoint, worker: Worker) -> None:
        import httpx

        boot = worker.boots
        path = worker.release.config["env"].get("HEALTH_CHECK_PATH", "/ping")
        async with httpx.AsyncClient(trust_env=False) as client:
            while not worker.is_stopped and worker.boots == boot:
                try:
                    answer = await client.get(f"http://127.0.0.1:{worker.health_port}{path}")
                except httpx.TransportError:
                    answer = None
                if answer is not None and answer.status_code == 200:
                    with self._site.change():
                        desk = self._account.desks.get(endpoint.id)
                        if desk is not None and worker.boots == boot:
                            desk.fleet.booted(worker)
                    return
                await asyncio.sleep(_LOOK_S)

    async def _admitted(self, endpoint: Endpoint) -> tuple[Worker, Job]:
        """Wait for a worker with room, and take it."""
        visit = Job(
            id=self._site.new_id("lb-"),
            document={},
            submitted_at=self._site.timeline.now(),
            kept_s=0,
            execution_timeout_s=_REQUEST_S,
            changed=Signal(self._site.waker),
        )
        with self._site.change():
            endpoint.visitors += 1
            endpoint.asked_at = self._site.timeline.now()
            self._account.desks[endpoint.id].fleet.scale()
        try:
            await wait_until(
                self._site, self._site.changed, lambda: self._enter(endpoint, visit), _WAIT_S
            )
        finally:
            with self._site.timeline.lock:
                endpoint.visitors -= 1
        if visit.worker is None:
            raise Problem(502, f"no worker of endpoint {endpoint.id} was free within {_WAIT_S:g} s")
        return visit.worker, visit

    def _enter(self, endpoint: Endpoint, visit: Job) -> bool:
        """Take a worker with room, once; tell whether that is settled."""
        if visit.worker is not None:
            return True
        now, most = self._site.timeline.now(), endpoint.config["scaling"]["requestCount"]
        free = [
            each
            for each in endpoint.workers.values()
            if each.is_ready(now) and not each.is_draining and len(each.jobs) < most
        ]
        worker = min(free, key=lambda each: len(each.jobs), default=None)
        if worker is None:
            return endpoint.is_deleted
        visit.worker, visit.started_at = worker, now
        worker.jobs[visit.id] = visit
        worker.begin_work(visit.id)
        self._site.note()
        return True

    def _leave(self, endpoint: Endpoint, visit: Job) -> None:
        worker = visit.worker
        if worker is None or worker.jobs.pop(visit.id, None) is None:
            return
        with self._site.change():
            worker.end_work(visit.id)
            desk = self._account.desks.get(endpoint.id)
            if desk is not None and not worker.jobs and not worker.is_stopped:
                desk.fleet.rest(worker)

    async def _pass_on(self, request: Request, path: str, worker: Worker, done: Done) -> Answer:
        import httpx

        client = httpx.AsyncClient(trust_env=False, timeout=_REQUEST_S)
        query = f"?{request.raw_query}" if request.raw_query else ""
        sent = client.build_request(
            request.method,
            f"http://127.0.0.1:{worker.port}/{path}{query}",
            content=request.body,
            headers=_without(request.headers, "authorization"),
        )
        try:
            answer = await client.send(sent, stream=True)
        except httpx.TransportError as error:
            await client.aclose()
            raise Problem(502, f"the worker does not answer: {type(error).__name__}") from None
        headers = _without(dict(answer.headers)) | {"X-Runpod-Worker-Id": worker.id}
        kind = headers.pop("content-type", "application/octet-stream")
        return Answer(answer.status_code, _body(client, answer, done), headers, kind)


async def _body(
    client: httpx.AsyncClient, answer: httpx.Response, done: Done
) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()
        await client.aclose()
        done()


def _without(headers: dict[str, str], *more: str) -> dict[str, str]:
    """Drop what belongs to one connection, not to the message."""
    return {name: text for name, text in headers.items() if name not in (*_OWN_HEADERS, *more)}
