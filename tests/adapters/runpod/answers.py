"""What RunPod answers, made up for tests."""

from __future__ import annotations

import json
from typing import Any

from gpuhub.adapter import CallRef, DeploymentRef

API = "https://api.runpod.io/v2"
DATA = "https://api.runpod.ai/v2"
JOB = CallRef("runpod", "ep1", "sync-7-u1")


def described(body: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """Give RunPod's description of an endpoint that was created so."""
    urls = {"run": f"{DATA}/ep1/run", "runSync": f"{DATA}/ep1/runsync"}
    if body.get("type") == "LOAD_BALANCER":
        urls = {"base": "https://ep1.api.runpod.ai"}
    created = {"id": "ep1", "requestUrls": urls, "createdAt": "2026-11-01T00:00:00Z"}
    return {**json.loads(json.dumps(body)), **created, **facts}


def releases(*diffs: list[dict[str, Any]]) -> dict[str, Any]:
    """Give a listing of releases, the first argument being version 1."""
    listed = [
        {
            "id": f"rel_{number}",
            "version": number,
            "source": "MANUAL",
            "createdAt": f"2026-11-{number:02}T00:00:00Z",
            "workerCount": 0,
            "diff": diff,
        }
        for number, diff in enumerate(diffs, 1)
    ]
    return {"endpointVersion": len(diffs), "rollout": {}, "releases": listed[::-1]}


def worker(status: str, **facts: Any) -> dict[str, Any]:
    """Give RunPod's description of a worker."""
    return {"id": f"w-{status.lower()}", "status": status, "isStale": False, "gpuCount": 1, **facts}


def state(status: str, **facts: Any) -> dict[str, Any]:
    """Give an answer about :data:`JOB`."""
    return {"id": JOB.id, "status": status, **facts}


def reference(**facts: Any) -> DeploymentRef:
    """Give the identity of a deployment of gpuhub's."""
    data = {"type": "QUEUE", "timeout_ms": "300000", "max_workers": "3", **facts.pop("data", {})}
    given = {"provider": "runpod", "name": "lab-echo", "address": "ep1", "version": "1", **facts}
    return DeploymentRef(**given, data=data)
