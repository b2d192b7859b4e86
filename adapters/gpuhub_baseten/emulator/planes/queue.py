"""Asynchronous requests: queued, run, told to a webhook, and forgotten; results are not kept."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from gpuhub.testing.emulator.waiting import hold
from gpuhub_baseten.emulator import bodies
from gpuhub_baseten.emulator.bodies import read_body
from gpuhub_baseten.emulator.problems import Problem, invalid, missing
from gpuhub_baseten.emulator.quotas import Gate
from gpuhub_baseten.emulator.state import Deployment, Visit
from gpuhub_baseten.emulator.web import Answer, Request

if TYPE_CHECKING:
    import httpx

    from gpuhub_baseten.emulator.account import Account
    from gpuhub_baseten.emulator.planes.gateway import Gateway
    from gpuhub_baseten.emulator.site import Site

__all__ = ["AsyncRequests", "sign"]

Status = Literal[
    "QUEUED",
    "IN_PROGRESS",
    "SUCCEEDED",
    "FAILED",
    "EXPIRED",
    "CANCELED",
    "WEBHOOK_FAILED",
]
_SUBMITS_PER_S = 200
_LOOKS_PER_S = 20
_LOOPBACK = ("127.0.0.1", "localhost")
_WEBHOOK_S = 5.0
_HOLD_S = 0.25


@dataclass(slots=True, eq=False)
class Job:
    """One asynchronous request. Changed with the lock held.

    Attributes:
        id: ``request_id``.
        model_id: Of the model.
        deployment: What runs it.
        sent: What was asked for.
        visit: Its way to a replica.
        created_at: ISO 8601.
        status_at: ISO 8601, of the last change.
        status: Where it is.
        is_telling: It has run, and its webhook is being told.
        webhook_status: What became of telling the webhook.
        errors: What went wrong.
    """

    id: str
    model_id: str
    deployment: Deployment
    sent: bodies.AsyncPredict
    visit: Visit
    created_at: str
    status_at: str
    status: Status = "QUEUED"
    is_telling: bool = False
    webhook_status: str = "PENDING"
    errors: list[dict[str, str]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status not in ("QUEUED", "IN_PROGRESS")

    def shown(self) -> dict[str, Any]:
        """Give ``AsyncRequestStatusResponse``."""
        return {
            "request_id": self.id,
            "model_id": self.model_id,
            "deployment_id": self.deployment.id,
            "status": self.status,
            "webhook_status": self.webhook_status,
            "created_at": self.created_at,
            "status_at": self.status_at,
            "errors": list(self.errors),
        }


class AsyncRequests:
    """``…/async_predict`` and ``/async_request/{id}``.

    Args:
        site: What all parts share.
        account: Whose models.
        gateway: Brings requests to replicas.
    """

    def __init__(self, site: Site, account: Account, gateway: Gateway) -> None:
        self._site = site
        self._account = account
        self._gateway = gateway
        self._jobs: dict[str, Job] = {}
        self._submits = Gate(_SUBMITS_PER_S, 1.0, site.now)
        self._looks = Gate(_LOOKS_PER_S, 1.0, site.now)

    async def submit(self, request: Request, model_id: str, target: str) -> Answer:
        """``POST …/async_predict``."""
        most = self._site.options.async_bytes
        if len(request.body) > most:
            raise Problem(413, f"the body has {len(request.body)} bytes; at most {most} are taken")
        sent = read_body(bodies.AsyncPredict, request.body)
        _check_webhook(sent.webhook_endpoint)
        self._submits.count()
        with self._site.change():
            deployment = self._gateway.target(model_id, target)
            visit = self._gateway.new_visit(request)
            visit.priority = sent.priority
            now = self._site.stamp()
            job = Job(uuid.uuid4().hex, model_id, deployment, sent, visit, now, now)
            visit.id = job.id
            if sent.webhook_endpoint is None:
                job.webhook_status = "NO_WEBHOOK_PROVIDED"
            self._jobs[job.id] = job
            wait = sent.max_time_in_queue_seconds
            self._site.timeline.after(wait, lambda: self._expire(job))
            self._account.fleet.admit(deployment, visit)
        self._gateway.spawn(self._run(job))
        return Answer.of({"request_id": job.id}, 201)

    async def status(self, _request: Request, model_id: str, request_id: str) -> Answer:
        """``GET /async_request/{id}``."""
        self._count_look()

        def pending_s() -> float:
            job = self._jobs.get(request_id)
            if job is None or job.is_over:
                return 0.0
            if job.is_telling:
                return _WEBHOOK_S
            return _HOLD_S if job.visit.is_real else 0.0

        await hold(self._site, self._site.changed, pending_s)
        with self._site.change():
            return Answer.of(self._job(model_id, request_id).shown())

    async def cancel(self, _request: Request, model_id: str, request_id: str) -> Answer:
        """``DELETE /async_request/{id}``: only what is still queued."""
        self._count_look()
        with self._site.change():
            job = self._job(model_id, request_id)
            canceled = job.status == "QUEUED" and not job.visit.is_settled
            if canceled:
                self._end(job, "CANCELED")
            message = "canceled" if canceled else f"the request is {job.status}"
        return Answer.of({"request_id": request_id, "canceled": canceled, "message": message})

    async def queue(self, _request: Request, model_id: str, target: str) -> Answer:
        """``GET …/async_queue_status``."""
        self._count_look()
        with self._site.change():
            deployment = self._gateway.target(model_id, target)
            mine = [each for each in self._jobs.values() if each.deployment is deployment]
        states = [each.status for each in mine]
        return Answer.of(
            {
                "model_id": model_id,
                "deployment_id": deployment.id,
                "num_queued_requests": states.count("QUEUED"),
                "num_in_progress_requests": states.count("IN_PROGRESS"),
            }
        )

    # Inside

    def _count_look(self) -> None:
        if not self._site.is_virtual:  # virtual seconds do not pass between two questions
            self._looks.count()

    def _job(self, model_id: str, request_id: str) -> Job:
        job = self._jobs.get(request_id)
        if job is None or job.model_id != model_id:
            raise missing(f"async request {request_id}")
        return job

    async def _run(self, job: Job) -> None:
        await self._changed(lambda: job.visit.is_settled or job.is_over)
        with self._site.change():
            if job.is_over:
                return
            if job.visit.replica is not None:
                job.status, job.status_at = "IN_PROGRESS", self._site.stamp()
        output: Any = None
        retries = job.sent.inference_retry_config
        delay_ms = retries.initial_delay_ms
        for attempt in range(1, retries.max_attempts + 1):
            error, output = await self._attempt(job)
            if error is None or attempt == retries.max_attempts or error["code"] in _FINAL:
                break
            await self._pause(delay_ms / 1000)
            delay_ms = min(2 * delay_ms or 1, retries.max_delay_ms)
            self._requeue(job)
            await self._changed(lambda: job.visit.is_settled)
        with self._site.change():
            self._account.fleet.leave(job.deployment, job.visit)
            if error is not None:
                job.errors.append(error)
            job.status_at = self._site.stamp()
            job.is_telling = True
        await self._tell(job, output)
        with self._site.change():
            if not job.is_over:
                self._end(job, "SUCCEEDED" if error is None else "FAILED")

    async def _attempt(self, job: Job) -> tuple[dict[str, str] | None, Any]:
        """Run it once; give what went wrong, and the output."""
        visit, deployment = job.visit, job.deployment
        if visit.hangs or visit.crashes:
            await self._changed(lambda: visit.is_over)
        if visit.problem is not None:
            return _error("MODEL_UNAVAILABLE", visit.problem.detail), None
        if visit.answer is not None:
            return None, json.loads(visit.answer)
        body = json.dumps(job.sent.model_input).encode()
        headers = {"content-type": "application/json"}
        try:
            async with asyncio.timeout(self._site.options.async_run_s):
                response = await self._gateway.call(
                    deployment, visit, method="POST", route=None, headers=headers, body=body
                )
                await response.aread()
        except TimeoutError:
            return _error("MODEL_PREDICT_TIMEOUT", "the request ran too long"), None
        except Problem as problem:
            return _error("MODEL_UNAVAILABLE", problem.detail), None
        return _read(response)

    def _requeue(self, job: Job) -> None:
        with self._site.change():
            self._account.fleet.leave(job.deployment, job.visit)
            job.visit = Visit(job.id, priority=job.sent.priority)
            self._account.fleet.admit(job.deployment, job.visit)

    def _expire(self, job: Job) -> None:
        """Needs the lock."""
        if job.status == "QUEUED" and not job.visit.is_settled:
            self._end(job, "EXPIRED")
            error = _error("MODEL_NOT_READY", "the request expired in the queue")
            job.errors.append(error)
            if job.sent.webhook_endpoint is not None:
                self._site.waker.call(lambda: self._gateway.spawn(self._tell(job, None)))

    def _end(self, job: Job, status: Status) -> None:
        """Needs the lock."""
        if status == "SUCCEEDED" and job.webhook_status == "FAILED":
            status = "WEBHOOK_FAILED"
        if status == "CANCELED" and job.webhook_status == "PENDING":
            job.webhook_status = "CANCELED"
        job.status, job.status_at = status, self._site.stamp()
        self._account.fleet.leave(job.deployment, job.visit)
        kept = self._site.options.async_kept_s
        self._site.timeline.after(kept, lambda: self._forget(job))
        self._site.note()

    def _forget(self, job: Job) -> None:
        self._jobs.pop(job.id, None)

    async def _tell(self, job: Job, output: Any) -> None:
        """Send the webhook."""
        if job.sent.webhook_endpoint is None:
            return
        body = json.dumps(
            {
                "request_id": job.id,
                "model_id": job.model_id,
                "deployment_id": job.deployment.id,
                "type": "async_request_completed",
                "time": self._site.stamp(),
                "data": output,
                "errors": job.errors,
            }
        ).encode()
        told = await self._post(job.sent.webhook_endpoint, body)
        with self._site.change():
            job.webhook_status = "SUCCEEDED" if told else "FAILED"

    async def _post(self, url: str, body: bytes) -> bool:
        import httpx

        if urlsplit(url).hostname not in _LOOPBACK:
            return False  # an emulator reaches nothing but this machine
        headers = {"Content-Type": "application/json"}
        keys = self._site.options.webhook_secrets
        if keys:
            headers["X-BASETEN-SIGNATURE"] = sign(body, keys)
        for _ in range(self._site.options.webhook_tries):
            try:
                answer = await self._gateway.client().post(
                    url, content=body, headers=headers, timeout=_WEBHOOK_S
                )
            except httpx.TransportError:
                continue
            if answer.is_success:
                return True
        return False

    async def _pause(self, seconds: float) -> None:
        """Let clock time pass."""
        over: list[bool] = []
        with self._site.timeline.lock:
            self._site.timeline.after(seconds, lambda: self._ring(over))
        await self._changed(lambda: bool(over))

    def _ring(self, over: list[bool]) -> None:
        over.append(True)
        self._site.note()

    async def _changed(self, is_done: Any) -> None:
        """Wait without moving a virtual clock: nobody is held up by this."""
        while True:
            with self._site.timeline.lock:
                changed = self._site.changed.listen()
                if is_done():
                    return
            await changed


_FINAL = ("MODEL_INVALID_INPUT", "MODEL_DOES_NOT_EXIST")


def sign(body: bytes, keys: tuple[str, ...]) -> str:
    """Give ``X-BASETEN-SIGNATURE``: one ``v1=`` for each active secret."""
    parts = (hmac.new(key.encode(), body, hashlib.sha256).hexdigest() for key in keys)
    return ",".join(f"v1={part}" for part in parts)


def _error(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message}


def _read(response: httpx.Response) -> tuple[dict[str, str] | None, Any]:
    """Read a worker's answer: what went wrong, and the output."""
    if response.status_code >= 400:
        return _error(_code(response.status_code), response.text[:500]), None
    try:
        return None, response.json()
    except ValueError:
        return None, response.text


def _code(status: int) -> str:
    if status == 503:
        return "MODEL_NOT_READY"
    return "MODEL_INVALID_INPUT" if status < 500 else "MODEL_PREDICT_ERROR"


def _check_webhook(url: str | None) -> None:
    if url is None:
        return
    parts = urlsplit(url)
    is_here = parts.scheme == "http" and parts.hostname in _LOOPBACK  # only here: tests listen
    if parts.scheme != "https" and not is_here:
        raise invalid("webhook_endpoint: an HTTPS URL is needed")
