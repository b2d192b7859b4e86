"""The worker plane: how RunPod's worker loop gets jobs and sends results."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from gpuhub_runpod.emulator.jobs import Job
from gpuhub_runpod.emulator.problems import Problem, missing
from gpuhub_runpod.emulator.web import Answer, Request
from gpuhub_runpod.emulator.workers import Taker, Worker

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.account import Account
    from gpuhub_runpod.emulator.desk import Desk
    from gpuhub_runpod.emulator.site import Site

__all__ = ["WorkerPlane"]

_POLL_S = 80.0
"""Real seconds a worker is kept waiting; its own limit is 90."""


class WorkerPlane:
    """``/v2/{id}/job-take`` and its siblings.

    Args:
        site: What all parts share.
        account: Whose workers.
    """

    def __init__(self, site: Site, account: Account) -> None:
        self._site = site
        self._account = account

    async def take(self, request: Request, endpoint_id: str, worker_id: str) -> Answer:
        """``GET …/job-take/{worker}``: one job, or none after a while."""
        jobs = await self._take(request, endpoint_id, worker_id, 1)
        return Answer.of_worker_values(_for_worker(jobs[0])) if jobs else Answer(204)

    async def take_batch(self, request: Request, endpoint_id: str, worker_id: str) -> Answer:
        """``GET …/job-take-batch/{worker}?batch_size=``: several jobs, or none."""
        size = int(request.query.get("batch_size", "1"))
        jobs = await self._take(request, endpoint_id, worker_id, size)
        return Answer.of_worker_values([_for_worker(job) for job in jobs]) if jobs else Answer(204)

    async def stops(self, request: Request, endpoint_id: str, worker_id: str) -> Answer:
        """``GET …/job-stop/{worker}``: jobs to stop, or none after a while."""
        leaving = asyncio.ensure_future(request.receive())
        try:
            while True:
                with self._site.timeline.lock:
                    worker = self._worker(endpoint_id, worker_id, request)
                    changed = worker.stop_signal.listen()
                    stopping, worker.to_stop = worker.to_stop, []
                    if worker.is_stopped:
                        return Answer(204)
                if stopping:
                    return Answer.of({"jobsToStop": stopping})
                await _first_of(changed, leaving)
                if not changed.done():
                    return Answer(204)
        finally:
            leaving.cancel()

    async def done(self, request: Request, endpoint_id: str, worker_id: str, job_id: str) -> Answer:
        """``POST …/job-done/{worker}/{job}``: the result of a job."""
        with self._site.change():
            worker = self._worker(endpoint_id, worker_id, request)
            job = self._job(endpoint_id, job_id)
            options = self._site.options
            if len(request.body) > (options.runsync_bytes if job.is_sync else options.run_bytes):
                raise Problem(400, "the result is too large")
            result = _document(request)
            worker.log.collect()
            self._desk(endpoint_id).accept_result(worker, job, result)
        return Answer()

    async def item(self, request: Request, endpoint_id: str, worker_id: str, job_id: str) -> Answer:
        """``POST …/job-stream/{worker}/{job}``: one item of a job."""
        if len(request.body) > self._site.options.chunk_bytes:
            raise Problem(400, "the item is too large")
        with self._site.change():
            worker = self._worker(endpoint_id, worker_id, request)
            job = self._job(endpoint_id, job_id)
            if job.worker is not worker:
                return Answer()
            self._desk(endpoint_id).accept_item(job, _document(request))
            if self._site.faults.take("stream item") is not None:
                self._desk(endpoint_id).crashed(worker, 137)
        return Answer()

    async def ping(self, _request: Request, endpoint_id: str, worker_id: str) -> Answer:
        """``GET …/ping/{worker}``: a sign of life."""
        with self._site.timeline.lock:
            worker = self._worker(endpoint_id, worker_id)
            worker.pinged_at = self._site.timeline.now()
        return Answer()

    async def _take(
        self, request: Request, endpoint_id: str, worker_id: str, size: int
    ) -> list[Job]:
        taker = Taker(asyncio.get_running_loop().create_future(), size)
        with self._site.change():
            worker = self._worker(endpoint_id, worker_id, request)
            desk = self._desk(endpoint_id)
            worker.takers.append(taker)
            desk.fleet.booted(worker)
            worker.end_return()
            desk.dispatch()
        leaving = asyncio.ensure_future(request.receive())
        try:
            await _first_of(taker.future, leaving)
        finally:
            leaving.cancel()
        with self._site.timeline.lock:
            if taker in worker.takers:
                worker.takers.remove(taker)
        return taker.jobs  # the future may still be on its way from another thread

    def _desk(self, endpoint_id: str) -> Desk:
        return self._account.desk(endpoint_id)

    def _worker(self, endpoint_id: str, worker_id: str, request: Request | None = None) -> Worker:
        worker = self._account.endpoint(endpoint_id).workers.get(worker_id)
        if worker is None:
            raise missing(f"worker {worker_id}")
        if request is not None and request.query.get("boot") != str(worker.boots):
            raise Problem(400, "the worker was started anew meanwhile")
        return worker

    def _job(self, endpoint_id: str, job_id: str) -> Job:
        job = self._account.endpoint(endpoint_id).jobs.get(job_id)
        if job is None:
            raise missing(f"job {job_id}")
        return job


async def _first_of(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, timeout=_POLL_S, return_when=asyncio.FIRST_COMPLETED)


def _for_worker(job: Job) -> dict[str, Any]:
    return {"id": job.id, **job.document}


def _document(request: Request) -> dict[str, Any]:
    """Read what a worker sends: JSON as Python writes it, NaN included, in a form's clothes."""
    try:
        document = json.loads(request.body.decode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise Problem(400, f"the body is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise Problem(400, "the body is no JSON object")
    return document
