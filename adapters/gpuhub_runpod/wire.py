"""RunPod's routes as requests. Pure.

Control plane: REST v2 document, tag "Serverless". Data plane: "Job operations" and "Send requests"
of RunPod's documentation. Both read 2026-11-20. Data-plane addresses are built below ``data_url``
instead of taken from ``requestUrls``, so that a proxy or an emulator can stand there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gpuhub.errors import PayloadTooLarge
from gpuhub.plan import Request, Retry

if TYPE_CHECKING:
    from gpuhub.adapter import CallOptions, CallRef, DeploymentRef

__all__ = [
    "cancel",
    "delete_endpoint",
    "get_catalog",
    "get_endpoint",
    "get_health",
    "get_logs",
    "get_releases",
    "get_status",
    "get_stream",
    "get_workers",
    "list_endpoints",
    "patch_endpoint",
    "purge_queue",
    "retry_job",
    "run",
    "runsync",
    "sync_wait_s",
]

_EMPTY = b'{"__empty":true}'
_WARM = b'{"__gpuhub_warm":true}'
_SYNC_LIMIT, _ASYNC_LIMIT = 20_000_000, 10_000_000
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 1.0, 300.0
_MARGIN_S = 30.0
_TTL_MARGIN_S = 60.0
_EXECUTION_MS = (5_000, 604_800_000)
_TTL_MS = (10_000, 604_800_000)
_JSON = {"Content-Type": "application/json"}


def _get(path: str, origin: str = "api", **query: str) -> Request:
    return Request("GET", path, origin=origin, query=query, retry=Retry.SAFE)


def _id(text: str) -> str:
    return quote(text, safe="")


# ------------------------------------------------------------------------------ control plane


def list_endpoints(cursor: str = "") -> Request:
    """``GET /serverless``; ``cursor`` goes on after a page, should RunPod begin to page it."""
    return _get("/serverless", **({"cursor": cursor} if cursor else {}))


def get_endpoint(endpoint: str) -> Request:
    """``GET /serverless/{id}``."""
    return _get(f"/serverless/{_id(endpoint)}")


def get_workers(endpoint: str) -> Request:
    """``GET /serverless/{id}/workers``."""
    return _get(f"/serverless/{_id(endpoint)}/workers")


def get_releases(endpoint: str) -> Request:
    """``GET /serverless/{id}/releases``."""
    return _get(f"/serverless/{_id(endpoint)}/releases")


def get_catalog() -> Request:
    """``GET /catalog/gpus``."""
    return _get("/catalog/gpus")


def patch_endpoint(endpoint: str, changes: Mapping[str, Any]) -> Request:
    """``PATCH /serverless/{id}``: each member replaces the old one, so repeating does no harm."""
    path = f"/serverless/{_id(endpoint)}"
    return Request("PATCH", path, json=dict(changes), retry=Retry.SAFE)


def delete_endpoint(endpoint: str) -> Request:
    """``DELETE /serverless/{id}``: with its template, queued and running jobs."""
    return Request("DELETE", f"/serverless/{_id(endpoint)}", retry=Retry.SAFE)


def get_logs(endpoint: str, worker: str, since: str | None, idle_s: float) -> Request:
    """``GET /serverless/{id}/workers/{workerId}/logs``: server-sent events.

    Args:
        endpoint: Whose.
        worker: Which.
        since: RFC 3339 time to start at; ``None``: the last 5000 lines.
        idle_s: Seconds without an event after which the request fails.
    """
    path = f"/serverless/{_id(endpoint)}/workers/{_id(worker)}/logs"
    query = {"since": since} if since else {"tail": "5000"}
    return Request("GET", path, query=query, timeout=idle_s)


# --------------------------------------------------------------------------------- data plane


def sync_wait_s(options: CallOptions) -> float:
    """Seconds ``/runsync`` may wait for the end of a call; 0: use ``/run``.

    A call with a budget is answered some time before its end, so that it can be cancelled by its
    id. Less than a second cannot be asked for.
    """
    wait = options.wait_s
    if options.budget_s is not None:
        wait = min(wait, options.budget_s - max(1.0, options.budget_s / 10))
    return min(wait, _LONGEST_WAIT_S) if wait >= _SHORTEST_WAIT_S else 0.0


def run(ref: DeploymentRef, payload: bytes, options: CallOptions) -> Request:
    """``POST /{id}/run``: submit and return. Never repeated when its answer is lost."""
    body = _job(ref, payload, options, _ASYNC_LIMIT)
    path = f"/{_id(ref.address)}/run"
    return Request("POST", path, origin="data", body=body, headers=_JSON)


def runsync(ref: DeploymentRef, payload: bytes, options: CallOptions, wait_s: float) -> Request:
    """``POST /{id}/runsync``: submit and wait. Never repeated when its answer is lost."""
    return Request(
        "POST",
        f"/{_id(ref.address)}/runsync",
        origin="data",
        body=_job(ref, payload, options, _SYNC_LIMIT),
        headers=_JSON,
        query={"wait": str(int(wait_s * 1000))},
        timeout=wait_s + _MARGIN_S,
    )


def get_status(call: CallRef) -> Request:
    """``GET /{id}/status/{job}``."""
    return _get(f"/{_id(call.deployment)}/status/{_id(call.id)}", "data")


def get_stream(call: CallRef) -> Request:
    """``GET /{id}/stream/{job}``: empties the buffer, so a lost answer loses chunks."""
    path = f"/{_id(call.deployment)}/stream/{_id(call.id)}"
    return Request("GET", path, origin="data", retry=Retry.REFUSED_ONLY)


def cancel(call: CallRef) -> Request:
    """``POST /{id}/cancel/{job}``."""
    path = f"/{_id(call.deployment)}/cancel/{_id(call.id)}"
    return Request("POST", path, origin="data", retry=Retry.SAFE)


def retry_job(call: CallRef) -> Request:
    """``POST /{id}/retry/{job}``: run a failed or timed-out job again, under the same id."""
    path = f"/{_id(call.deployment)}/retry/{_id(call.id)}"
    return Request("POST", path, origin="data")


def purge_queue(endpoint: str) -> Request:
    """``POST /{id}/purge-queue``: drop what waits."""
    path = f"/{_id(endpoint)}/purge-queue"
    return Request("POST", path, origin="data")  # a repeat could drop jobs that came since


def get_health(endpoint: str) -> Request:
    """``GET /{id}/health``: jobs by state, of a queue endpoint."""
    return _get(f"/{_id(endpoint)}/health", "data")


def _job(ref: DeploymentRef, payload: bytes, options: CallOptions, limit: int) -> bytes:
    """Give the body, with the arguments as they are: they are not parsed again.

    Raises:
        PayloadTooLarge: RunPod would refuse it.
    """
    members: dict[str, Any] = {}
    if policy := _policy(ref, options):
        members["policy"] = policy
    if options.webhook is not None:
        members["webhook"] = options.webhook
    rest = "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in members.items())
    given = _EMPTY if payload.strip() == b"{}" else payload
    body = b'{"input":' + given + rest.encode() + b"}"
    if len(body) > limit:
        raise PayloadTooLarge(
            f"the job has {len(body):,} bytes; RunPod takes at most {limit:,}",
            provider="runpod",
            next_step='pass a reference instead, or set payload_store = "s3://…" in gpuhub.toml',
        )
    return body


def _policy(ref: DeploymentRef, options: CallOptions) -> dict[str, int]:
    """Give ``executionTimeout`` and ``ttl`` in ms ("Execution policies").

    The endpoint's timeout is said again for each job, since the documents give jobs a default of
    their own. A caller with a budget that waits is gone at its end: the job need not outlive it.
    """
    policy = {}
    execution = int(ref.data.get("timeout_ms", "0"))
    if _EXECUTION_MS[0] <= execution <= _EXECUTION_MS[1]:
        policy["executionTimeout"] = execution
    if own := int(ref.data.get("ttl_ms", "0")):
        policy["ttl"] = own
    if options.budget_s is not None and options.wait_s:
        left = int((options.budget_s + _TTL_MARGIN_S) * 1000)
        policy["ttl"] = min(policy.get("ttl", _TTL_MS[1]), max(left, _TTL_MS[0]))
    return policy


def warm_payload() -> bytes:
    """Give the arguments of a job that only starts a worker; see ``entry``."""
    return _WARM
