"""The data plane: jobs of queue endpoints. Its wording beyond documented fields is a guess."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.signals import Signal
from gpuhub.testing.emulator.waiting import hold, wait_until
from gpuhub_runpod.emulator.jobs import Job
from gpuhub_runpod.emulator.problems import Problem
from gpuhub_runpod.emulator.quotas import Gate
from gpuhub_runpod.emulator.web import Answer, Request

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gpuhub_runpod.emulator.account import Account
    from gpuhub_runpod.emulator.endpoints import Endpoint
    from gpuhub_runpod.emulator.site import Site

__all__ = ["Jobs"]

_WAIT_MS = (1_000, 300_000)
_DEFAULT_WAIT_MS = 90_000
_EXECUTION_MS = (5_000, 604_800_000)
_TTL_MS = (10_000, 604_800_000)
_DAY_MS = 86_400_000
_TO_WORKER = ("input", "webhook", "s3Config")


class Jobs:
    """``/v2/{id}/run`` and its siblings.

    Args:
        site: What all parts share.
        account: Whose endpoints.
    """

    def __init__(self, site: Site, account: Account) -> None:
        self._site = site
        self._account = account
        self._gates: dict[tuple[str, str], Gate] = {}

    async def run(self, request: Request, endpoint_id: str) -> Answer:
        """``POST /v2/{id}/run``."""
        with self._passing(endpoint_id, "run"):
            job = self._submit(request, endpoint_id, is_sync=False)
            return Answer.of({"id": job.id, "status": "IN_QUEUE"})

    async def runsync(self, request: Request, endpoint_id: str) -> Answer:
        """``POST /v2/{id}/runsync?wait=``."""
        wait_ms = _number(request.query.get("wait"), _WAIT_MS, _DEFAULT_WAIT_MS, "wait")
        with self._passing(endpoint_id, "runsync"):
            job = self._submit(request, endpoint_id, is_sync=True)
            if not job.is_over:
                await wait_until(self._site, job.changed, lambda: job.is_over, wait_ms / 1000)
        with self._site.timeline.lock:
            if job.is_over:
                return Answer.of_worker_values(job.shown())
            return Answer.of({"id": job.id, "status": job.state})

    async def status(self, request: Request, endpoint_id: str, job_id: str) -> Answer:
        """``GET /v2/{id}/status/{job}``."""
        with self._passing(endpoint_id, "status"):
            job = self._job(endpoint_id, job_id)
            await hold(self._site, job.changed, lambda: self._pending_s(endpoint_id, job))
        with self._site.change():
            self._account.desk(endpoint_id).job(job_id)
            if request.query.get("ttl"):
                _number(request.query["ttl"], _TTL_MS, _DAY_MS, "ttl")
            return Answer.of_worker_values(job.shown())

    async def stream(self, _request: Request, endpoint_id: str, job_id: str) -> Answer:
        """``GET /v2/{id}/stream/{job}``: what came since the last question."""
        with self._passing(endpoint_id, "stream"):
            job = self._job(endpoint_id, job_id)

            def pending_s() -> float:
                return 0.0 if job.stream else self._pending_s(endpoint_id, job)

            await hold(self._site, job.changed, pending_s)
        with self._site.change():
            items = list(job.stream)
            job.stream.clear()
            body: dict[str, Any] = {"status": job.state, "stream": items}
            if job.error is not None and not items:
                body["error"] = job.error
            return Answer.of_worker_values(body)

    async def cancel(self, _request: Request, endpoint_id: str, job_id: str) -> Answer:
        """``POST /v2/{id}/cancel/{job}``."""
        with self._passing(endpoint_id, "cancel"), self._site.change():
            desk = self._account.desk(endpoint_id)
            job = desk.job(job_id)
            desk.cancel(job)
            return Answer.of_worker_values(job.shown())

    async def retry(self, _request: Request, endpoint_id: str, job_id: str) -> Answer:
        """``POST /v2/{id}/retry/{job}``."""
        with self._site.change():
            desk = self._account.desk(endpoint_id)
            job = desk.job(job_id)
            desk.retry(job)
            return Answer.of({"id": job.id, "status": "IN_QUEUE"})

    async def purge(self, _request: Request, endpoint_id: str) -> Answer:
        """``POST /v2/{id}/purge-queue``."""
        with self._passing(endpoint_id, "purge-queue"), self._site.change():
            removed = self._account.desk(endpoint_id).purge()
            return Answer.of({"removed": removed, "status": "completed"})

    async def health(self, _request: Request, endpoint_id: str) -> Answer:
        """``GET /v2/{id}/health``."""
        with self._site.change():
            return Answer.of(self._endpoint(endpoint_id).shown_health())

    async def openai(self, request: Request, endpoint_id: str, route: str) -> Answer:
        """``ANY /v2/{id}/openai/v1/…``: a job whose output is the answer."""
        asked = request.json() if request.body else {}
        given = {"openai_route": f"/v1/{route}", "openai_input": asked}
        job = self._enqueue(endpoint_id, {"input": given}, len(request.body), is_sync=True)
        await wait_until(self._site, job.changed, lambda: job.is_over, _DEFAULT_WAIT_MS / 1000)
        with self._site.timeline.lock:
            items = [item.get("output") for item in job.stream]
            if job.state != "COMPLETED":
                raise Problem(500, job.error or f"job {job.id} is {job.state}")
        if items and asked.get("stream"):
            text = "".join(item for item in items if isinstance(item, str))
            return Answer(body=text.encode(), content_type="text/event-stream")
        return Answer.of_worker_values(items[-1] if items else job.output)

    def _passing(self, endpoint_id: str, operation: str) -> AbstractContextManager[None]:
        """Count a request against the limits of its endpoint."""
        quota = self._site.options.quotas.get(operation)
        if quota is None:
            return nullcontext()
        key = (endpoint_id, operation)
        if key not in self._gates:
            self._gates[key] = Gate(quota, self._site.timeline.now)
        return self._gates[key].passing()

    def _endpoint(self, endpoint_id: str) -> Endpoint:
        endpoint = self._account.endpoint(endpoint_id)
        if not endpoint.is_queue:
            raise Problem(400, f"endpoint {endpoint_id} is load-balancing: it takes no jobs")
        return endpoint

    def _job(self, endpoint_id: str, job_id: str) -> Job:
        with self._site.change():
            return self._account.desk(endpoint_id).job(job_id)

    def _pending_s(self, endpoint_id: str, job: Job) -> float:
        """Real seconds worth waiting for news of a job."""
        if job.is_over or endpoint_id not in self._account.endpoints:
            return 0.0
        if job.state == "IN_QUEUE":
            return self._account.endpoints[endpoint_id].pending_s()
        runs = job.worker is not None and job.id in job.worker.at_work
        return self._site.options.hold_s if runs else 0.0

    def _submit(self, request: Request, endpoint_id: str, *, is_sync: bool) -> Job:
        options = self._site.options
        limit = options.runsync_bytes if is_sync else options.run_bytes
        if len(request.body) > limit:
            raise Problem(413, f"the body has {len(request.body)} bytes; at most {limit} are taken")
        document = request.json()
        if not isinstance(document, dict) or not isinstance(document.get("input"), dict):
            raise Problem(400, "input: an object is required")
        return self._enqueue(endpoint_id, document, len(request.body), is_sync=is_sync, of=request)

    def _enqueue(
        self,
        endpoint_id: str,
        document: Mapping[str, Any],
        size: int,
        *,
        is_sync: bool,
        of: Request | None = None,
    ) -> Job:
        policy = document.get("policy") or {}
        given = {name: document[name] for name in _TO_WORKER if name in document}
        if given["input"] == {}:
            del given["input"]  # the platform drops an empty object
        ttl_ms = _number(policy.get("ttl"), _TTL_MS, _DAY_MS, "policy.ttl")
        options = self._site.options
        with self._site.change():
            desk = self._account.desk(endpoint_id)
            limit_ms = self._endpoint(endpoint_id).config["timeout"]
            execution = policy.get("executionTimeout")
            limit_ms = _number(execution, _EXECUTION_MS, limit_ms, "policy.executionTimeout")
            job = Job(
                id=f"{'sync-' if is_sync else ''}{uuid.uuid4()}-u1",
                document=given,
                submitted_at=self._site.timeline.now(),
                kept_s=options.runsync_kept_s if is_sync else options.run_kept_s,
                execution_timeout_s=limit_ms / 1000,
                changed=Signal(self._site.waker),
                size=size,
                webhook=document.get("webhook"),
                low_priority=bool(policy.get("lowPriority")),
            )
            fault = of.fault if of is not None else None
            job.hangs = fault is not None and fault.kind == "timeout"
            job.crashes = fault is not None and fault.kind == "crash"
            desk.submit(job, ttl_ms / 1000)
        return job


def _number(given: Any, bounds: tuple[int, int], default: int, name: str) -> int:
    """Read a number of milliseconds.

    Raises:
        Problem: 400, it is none, or not within the documented bounds.
    """
    if given is None:
        return default
    try:
        number = int(given)
    except (TypeError, ValueError):
        raise Problem(400, f"{name} must be a number of milliseconds (got {given!r})") from None
    if not bounds[0] <= number <= bounds[1]:
        raise Problem(400, f"{name} must be within {bounds[0]} and {bounds[1]} (got {number})")
    return number
